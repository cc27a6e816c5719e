// The map [data-map]: points that become pictures as one comes near. Wheel, pinch, buttons and keys zoom and move it; a
// click, or Enter for what is in the middle, shows the picture with ways on. The list below it is the way without it.

const BASE = document.documentElement.dataset.root;
const PICTURE_PX = 56;
const NEAR_PX = 26;
const MOST_PICTURES = 150;
const MOST_ZOOM = 80;

function start(root) {
  if (!root || root.dataset.started) return;
  root.dataset.started = "yes";
  root.hidden = false;
  document.querySelector("[data-map-help]").hidden = false;
  const canvas = root.querySelector("canvas");
  const card = root.querySelector("[data-map-card]");
  const pen = canvas.getContext("2d");
  const pictures = new Map();
  const fingers = new Map();
  let points = [];
  let regions = [];
  let zoom = 1;
  let middle = [0.5, 0.5];
  let moved = 0;
  let planned = false;

  const size = () => [canvas.clientWidth, canvas.clientHeight];
  const place = ([x, y]) => {
    const [wide, high] = size();
    return [(x - middle[0]) * zoom * wide * 0.94 + wide / 2, (y - middle[1]) * zoom * high * 0.94 + high / 2];
  };
  const under = (left, top) => {
    const [wide, high] = size();
    return [(left - wide / 2) / (zoom * wide * 0.94) + middle[0], (top - high / 2) / (zoom * high * 0.94) + middle[1]];
  };

  function plan() {
    if (!planned) requestAnimationFrame(draw);
    planned = true;
  }

  function pictureOf(id) {
    let picture = pictures.get(id);
    if (!picture) {
      picture = new Image();
      picture.onload = plan;
      picture.src = `${BASE}/v1/images/${id}/thumbnail?size=256`;
      pictures.set(id, picture);
    }
    return picture.complete && picture.naturalWidth ? picture : null;
  }

  function draw() {
    planned = false;
    const [wide, high] = size();
    const dense = window.devicePixelRatio || 1;
    if (canvas.width !== Math.round(wide * dense)) [canvas.width, canvas.height] = [wide * dense, high * dense];
    pen.setTransform(dense, 0, 0, dense, 0, 0);
    pen.clearRect(0, 0, wide, high);
    const style = getComputedStyle(canvas);
    const visible = points.map(([id, x, y]) => [id, ...place([x, y])])
      .filter(([, left, top]) => left > -40 && left < wide + 40 && top > -40 && top < high + 40);
    const taken = new Set();
    let shown = 0;
    for (const [id, left, top] of visible) {
      // One picture a square of the screen: the rest stay points until one comes nearer.
      const square = `${Math.floor(left / (PICTURE_PX + 8))} ${Math.floor(top / (PICTURE_PX + 8))}`;
      const picture = !taken.has(square) && shown < MOST_PICTURES ? pictureOf(id) : null;
      if (!taken.has(square) && shown < MOST_PICTURES) {
        taken.add(square);
        shown++;
      }
      if (picture) {
        const scale = PICTURE_PX / Math.max(picture.naturalWidth, picture.naturalHeight);
        const [w, h] = [picture.naturalWidth * scale, picture.naturalHeight * scale];
        pen.drawImage(picture, left - w / 2, top - h / 2, w, h);
      } else {
        pen.fillStyle = style.color;
        pen.globalAlpha = 0.45;
        pen.fillRect(left - 1.5, top - 1.5, 3, 3);
        pen.globalAlpha = 1;
      }
    }
    pen.font = `600 13px ${style.fontFamily}`;
    pen.textAlign = "center";
    const written = [];
    for (const [title, x, y] of regions) {
      const [left, top] = place([x, y]);
      const half = pen.measureText(title).width / 2 + 6;
      const hidden = written.some((one) => Math.abs(one.left - left) < one.half + half && Math.abs(one.top - top) < 22);
      if (hidden || left - half < 0 || left + half > wide) continue;
      written.push({ left, top, half });
      pen.fillStyle = style.backgroundColor;
      pen.globalAlpha = 0.85;
      pen.fillRect(left - half, top - 12, 2 * half, 20);
      pen.globalAlpha = 1;
      pen.fillStyle = style.color;
      pen.fillText(title, left, top + 3);
    }
  }

  function zoomAt(factor, left, top) {
    const before = under(left, top);
    zoom = Math.min(MOST_ZOOM, Math.max(1, zoom * factor));
    const after = under(left, top);
    middle = [0, 1].map((axis) => middle[axis] + before[axis] - after[axis]);
    stayInside();
  }

  function move(byX, byY) {
    const [wide, high] = size();
    middle = [middle[0] - byX / (zoom * wide), middle[1] - byY / (zoom * high)];
    stayInside();
  }

  function stayInside() {
    const half = 0.5 / zoom;
    middle = middle.map((value) => Math.min(1 - half, Math.max(half, value)));
    plan();
  }

  function choose(left, top) {
    let best = null;
    for (const [id, x, y] of points) {
      const [pointLeft, pointTop] = place([x, y]);
      const far = Math.hypot(pointLeft - left, pointTop - top);
      if (far < (best?.far ?? NEAR_PX * 1.6)) best = { far, id };
    }
    card.hidden = !best;
    if (!best) return;
    card.querySelector("img").src = `${BASE}/v1/images/${best.id}/thumbnail?size=256`;
    card.querySelector("[data-map-page]").href = `${BASE}/images/${best.id}`;
    card.querySelector("[data-map-like]").href = `${BASE}/?like=${best.id}`;
  }

  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoomAt(Math.exp(-event.deltaY / 400), event.offsetX, event.offsetY);
  }, { passive: false });
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, [event.offsetX, event.offsetY]);
    moved = 0;
  });
  canvas.addEventListener("pointermove", (event) => {
    const old = fingers.get(event.pointerId);
    if (!old) return;
    const now = [event.offsetX, event.offsetY];
    const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1];
    if (other) {
      const [was, is] = [old, now].map(([x, y]) => Math.hypot(x - other[0], y - other[1]));
      if (was > 10) zoomAt(is / was, (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
    } else {
      move(now[0] - old[0], now[1] - old[1]);
    }
    moved += Math.hypot(now[0] - old[0], now[1] - old[1]);
    fingers.set(event.pointerId, now);
  });
  canvas.addEventListener("pointerup", (event) => {
    fingers.delete(event.pointerId);
    if (moved < 6) choose(event.offsetX, event.offsetY);
  });
  canvas.addEventListener("pointercancel", (event) => fingers.delete(event.pointerId));
  canvas.addEventListener("keydown", (event) => {
    const [wide, high] = size();
    const step = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] }[event.key];
    if (step) move(...step);
    else if (event.key === "+" || event.key === "=") zoomAt(1.4, wide / 2, high / 2);
    else if (event.key === "-") zoomAt(1 / 1.4, wide / 2, high / 2);
    else if (event.key === "0") zoomAt(1 / MOST_ZOOM, wide / 2, high / 2);
    else if (event.key === "Enter") choose(wide / 2, high / 2);
    else return;
    event.preventDefault();
  });
  root.addEventListener("click", (event) => {
    const how = event.target.closest("[data-zoom]")?.dataset.zoom;
    const [wide, high] = size();
    if (how) zoomAt({ in: 1.6, out: 1 / 1.6, all: 1 / MOST_ZOOM }[how], wide / 2, high / 2);
  });
  new ResizeObserver(() => { canvas.width = 0; plan(); }).observe(canvas);
  fetch(root.dataset.map).then((answer) => answer.json()).then((drawn) => {
    ({ points, regions } = drawn);
    root.dataset.ready = "yes";
    plan();
  });
}

start(document.querySelector("[data-map]"));
document.addEventListener("htmx:afterSettle", () => start(document.querySelector("[data-map]")));
