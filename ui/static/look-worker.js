// Looks at a picture as the library does, and answers with its vector and what is in it: search/encoders/lite.py and
// search/encoders/lite_vision.py say the same in Python. All that it loads lies beside it.

import * as ort from "./ort.wasm.min.mjs";

const BITS = 22;
let ready = null;

async function load() {
  const manifest = await (await fetch("./manifest.json")).json();
  ort.env.wasm.wasmPaths = new URL("./", self.location.href).href;
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = "error";
  const fetched = async (name) => (await fetch(`./${name}?v=${manifest.files[name].hash}`)).arrayBuffer();
  const [classifier, detector, tables] = await Promise.all(
    ["classifier.onnx", "detector.onnx", "tables.bin"].map(fetched));
  const all = new Float32Array(tables);
  const table = Object.fromEntries(Object.entries(manifest.tables).map(([name, [offset, ...shape]]) =>
    [name, all.subarray(offset, offset + shape.reduce((a, b) => a * b, 1))]));
  return {
    manifest,
    table,
    bytes: classifier.byteLength + detector.byteLength + tables.byteLength,
    classifier: await ort.InferenceSession.create(classifier, { executionProviders: ["wasm"] }),
    detector: await ort.InferenceSession.create(detector, { executionProviders: ["wasm"] }),
  };
}

// Pillow's resampling, to the bit: https://github.com/python-pillow/Pillow/blob/main/src/libImaging/Resample.c

function bicubic(x) {
  const at = Math.abs(x);
  if (at < 1) return (1.5 * at - 2.5) * at * at + 1;
  return at < 2 ? (((at - 5) * at + 8) * at - 4) * -0.5 : 0;
}

function weights(size, start, end, wanted) {
  const scale = (end - start) / wanted;
  const wide = Math.max(1, scale);
  const support = 2 * wide;
  return Array.from({ length: wanted }, (_, place) => {
    const middle = start + (place + 0.5) * scale;
    const first = Math.max(0, Math.trunc(middle - support + 0.5));
    const last = Math.min(size, Math.trunc(middle + support + 0.5));
    const raw = Array.from({ length: last - first }, (_, at) => bicubic((at + first - middle + 0.5) / wide));
    const sum = raw.reduce((a, b) => a + b, 0);
    return { first, parts: raw.map((one) => Math.trunc((one / sum) * 2 ** BITS + (one < 0 ? -0.5 : 0.5))) };
  });
}

const clipped = (sum) => Math.min(255, Math.max(0, Math.floor(sum / 2 ** BITS)));

function resized(picture, side, [left, top, right, bottom] = [0, 0, picture.width, picture.height], high = side) {
  const across = weights(picture.width, left, right, side);
  const down = weights(picture.height, top, bottom, high);
  const middle = new Uint8Array(picture.height * side * 3);
  for (let y = 0; y < picture.height; y++) {
    for (let x = 0; x < side; x++) {
      const { first, parts } = across[x];
      for (let channel = 0; channel < 3; channel++) {
        let sum = 2 ** (BITS - 1);
        for (let at = 0; at < parts.length; at++) {
          sum += picture.data[(y * picture.width + first + at) * 3 + channel] * parts[at];
        }
        middle[(y * side + x) * 3 + channel] = clipped(sum);
      }
    }
  }
  const data = new Uint8Array(high * side * 3);
  for (let y = 0; y < high; y++) {
    const { first, parts } = down[y];
    for (let x = 0; x < side * 3; x++) {
      let sum = 2 ** (BITS - 1);
      for (let at = 0; at < parts.length; at++) sum += middle[(first + at) * side * 3 + x] * parts[at];
      data[y * side * 3 + x] = clipped(sum);
    }
  }
  return { data, width: side, height: high };
}

// A large picture is first made smaller by whole numbers, as the decoder of the library does it.
function halved(picture, factor) {
  const width = Math.ceil(picture.width / factor), height = Math.ceil(picture.height / factor);
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    const lastY = Math.min(picture.height, (y + 1) * factor);
    for (let x = 0; x < width; x++) {
      const lastX = Math.min(picture.width, (x + 1) * factor);
      const count = (lastY - y * factor) * (lastX - x * factor);
      for (let channel = 0; channel < 3; channel++) {
        let sum = 0;
        for (let v = y * factor; v < lastY; v++) {
          for (let u = x * factor; u < lastX; u++) sum += picture.data[(v * picture.width + u) * 3 + channel];
        }
        data[(y * width + x) * 3 + channel] = Math.floor(sum / count + 0.5);
      }
    }
  }
  return { data, width, height };
}

async function decoded(file, side) {
  const bitmap = await createImageBitmap(file, { imageOrientation: "from-image", premultiplyAlpha: "none" });
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0);
  const { data, width, height } = context.getImageData(0, 0, canvas.width, canvas.height);
  bitmap.close();
  const rgb = new Uint8Array(width * height * 3);
  for (let at = 0; at < width * height; at++) {
    for (let channel = 0; channel < 3; channel++) rgb[at * 3 + channel] = data[at * 4 + channel];
  }
  let picture = { data: rgb, width, height };
  const long = Math.max(width, height);
  if (long <= side) return picture;
  const factor = Math.floor(long / side / 2);
  if (factor > 1) picture = halved(picture, factor);
  const scale = side / Math.max(width, height);
  const size = [width, height].map((one) => Math.max(1, Math.round(one * scale)));
  return resized(picture, size[0], [0, 0, width / Math.max(1, factor), height / Math.max(1, factor)], size[1]);
}

async function run(session, pixels, side) {
  const feeds = { [session.inputNames[0]]: new ort.Tensor("uint8", pixels.data, [1, side, side, 3]) };
  const given = await session.run(feeds);
  return session.outputNames.map((name) => given[name].data);
}

function objects(scores, boxes, { labels, score, overlap }) {
  const kinds = scores.length / (boxes.length / 4);
  const found = [];
  for (const [number, label] of Object.entries(labels)) {
    const kept = [];
    const places = [];
    for (let at = 0; at < boxes.length / 4; at++) if (scores[at * kinds + Number(number)] > score) places.push(at);
    places.sort((a, b) => scores[b * kinds + Number(number)] - scores[a * kinds + Number(number)]);
    for (const place of places) {
      const box = boxes.slice(place * 4, place * 4 + 4);
      if (kept.every((other) => shared(box, other) <= overlap)) {
        kept.push(box);
        found.push({ label, score: scores[place * kinds + Number(number)], box: [...box].map((end) => Math.min(1, Math.max(0, end))) });
      }
    }
  }
  return found.sort((a, b) => b.score - a.score).slice(0, 100);
}

function shared(one, other) {
  const high = Math.max(0, Math.min(one[2], other[2]) - Math.max(one[0], other[0]));
  const wide = Math.max(0, Math.min(one[3], other[3]) - Math.max(one[1], other[1]));
  const area = (box) => (box[2] - box[0]) * (box[3] - box[1]);
  return (high * wide) / (area(one) + area(other) - high * wide);
}

const mean = (one, other) => one.map((value, at) => (value + other[at]) / 2);

function unit(vector) {
  const length = Math.max(1e-9, Math.hypot(...vector));
  return vector.map((value) => value / length);
}

function joined(classes, features, found, { manifest, table }) {
  const dim = manifest.dim;
  const names = Object.values(manifest.labels);
  const strongest = new Map();
  for (const { label, score } of [...found].reverse()) strongest.set(label, score);
  const inputs = [
    ...features.map((value) => value / manifest.input_scale),
    ...classes.map((value) => 3 * Math.sqrt(value)),
    ...names.map((label) => 2 * (strongest.get(label) ?? 0)),
  ];
  const adapted = new Float64Array(dim);
  inputs.forEach((value, row) => {
    const centred = value - table.input_mean[row];
    for (let at = 0; at < dim; at++) adapted[at] += centred * table.weights[row * dim + at];
  });
  // As in search/encoders/lite.py: labels as likely as the last one that counts share the places that are left.
  const last = [...classes].sort((a, b) => b - a)[manifest.conse_labels - 1];
  const above = classes.filter((value) => value > last).length;
  const share = (manifest.conse_labels - above) / classes.filter((value) => value === last).length;
  const weights = classes.map((value) => (value < last ? 0 : Math.sqrt(value) * (value > last ? 1 : share)));
  let conse = new Float64Array(dim);
  weights.forEach((weight, row) => {
    if (weight > 0) for (let at = 0; at < dim; at++) conse[at] += weight * table.classes[row * dim + at];
  });
  const sum = Math.max(1e-6, weights.reduce((total, weight) => total + weight, 0));
  conse = unit(Array.from(conse, (value) => value / sum));
  for (const [label, score] of strongest) {
    const row = names.indexOf(label);
    for (let at = 0; at < dim; at++) conse[at] += manifest.object_weight * score * table.objects[row * dim + at];
  }
  const first = unit(Array.from(adapted)), second = unit(conse);
  return unit(first.map((value, at) => value + manifest.conse_weight * second[at]));
}

async function look(file) {
  ready ??= load();
  const all = await ready.catch((error) => {
    ready = null; // the next picture tries again
    throw error;
  });
  const { manifest } = all;
  const began = performance.now();
  const picture = await decoded(file, manifest.side);
  const short = Math.min(picture.width, picture.height);
  const left = (picture.width - short) / 2, top = (picture.height - short) / 2;
  const side = manifest.classifier_side;
  const views = [];
  for (const pixels of [resized(picture, side), resized(picture, side, [left, top, left + short, top + short])]) {
    views.push(await run(all.classifier, pixels, side));
  }
  const classes = mean(Array.from(views[0][0], (n) => n / 256), Array.from(views[1][0], (n) => n / 256));
  const features = mean(Array.from(views[0][1]), Array.from(views[1][1]));
  const [scores, boxes] = await run(all.detector, resized(picture, manifest.detector_side), manifest.detector_side);
  const found = objects(scores, boxes, manifest);
  const vector = joined(classes, features, found, all);
  // WebAssembly's memory only grows, so this is the most that was needed beside the files.
  const memory = all.bytes + (performance.memory?.usedJSHeapSize ?? 0);
  return { vector, objects: found, space: manifest.space, milliseconds: performance.now() - began, memory };
}

self.onmessage = async ({ data: { number, file } }) => {
  try {
    self.postMessage({ number, ...(await look(file)) });
  } catch (error) {
    self.postMessage({ number, error: String(error?.message ?? error) });
  }
};
