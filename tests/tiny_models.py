"""Every family of models as its real class, made small and random, and saved by its own library."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("YOLO_AUTOINSTALL", "false")
os.environ.setdefault("YOLO_OFFLINE", "true")

import numpy as np
import open_clip
import torch
import transformers as tf
from open_clip.push_to_hf_hub import save_config_for_hf
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from tokenizers.normalizers import Lowercase

from indexer.taggers.ultralytics_objects import pillow_kept
from indexer.taggers.zero_shot import places
from search.encoders.examples import dead_leaves

KNOWN = (
    "a an the of on in at two dog dogs cat person people beach street red car photo picture night day snow with and is"
    " . , ? : < > user assistant image describe this one sentence what tree house boat bus bike horse sky sea"
)
WORDS = tuple(KNOWN.split())
SIDE = 64


def seeded(make: Any, seed: int = 0) -> Any:
    torch.manual_seed(seed)
    return make().eval()


def settled(net: Any, side: int) -> Any:
    """Return a net whose batch norms have seen pictures: in a deep one, an untrained signal would fade on its way."""
    norms = [module for module in net.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    pictures = [np.asarray(picture.resize((side, side))) for picture in dead_leaves(4, 0)]
    for norm in norms:
        norm.train()
        norm.momentum = None
    with torch.inference_mode():
        net(torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2) / 255)
    for norm in norms:
        norm.eval()
        norm.momentum = 0.03
    return net


# Tokenizers


def word_tokenizer(*, kind: str = "bert", extra: tuple[str, ...] = ()) -> Any:
    """Return a tokenizer over a few words, as BERT, RoBERTa or Gemma frame their texts."""
    frames = {
        "bert": ("[PAD]", "[UNK]", "[CLS]", "[SEP]"),
        "roberta": ("<pad>", "<unk>", "<s>", "</s>"),
        "gemma": ("<pad>", "<unk>", "<bos>", "<eos>"),
    }
    pad, unknown, first, last = frames[kind]
    vocabulary = {word: i for i, word in enumerate((pad, unknown, first, last, *WORDS))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=unknown))
    if kind != "gemma":
        tokenizer.normalizer = Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    frame = f"{first} $A {last}" if kind != "gemma" else f"$A {last}"
    tokenizer.post_processor = processors.TemplateProcessing(
        single=frame, special_tokens=[(first, vocabulary[first]), (last, vocabulary[last])]
    )
    named = {"image_token": "<image>"} if "<image>" in extra else {}
    fast = tf.PreTrainedTokenizerFast(
        extra_special_tokens=named,
        tokenizer_object=tokenizer,
        pad_token=pad,
        unk_token=unknown,
        cls_token=first,
        sep_token=last,
        bos_token=first,
        eos_token=last,
    )
    if extra:
        fast.add_tokens(list(extra), special_tokens=True)
    return fast


# open_clip


def clip_config(**changes: Any) -> dict[str, Any]:
    config: dict[str, Any] = {
        "embed_dim": 32,
        "vision_cfg": {"image_size": SIDE, "layers": 2, "width": 64, "head_width": 32, "patch_size": 16},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
    }
    return {**config, **changes}


CLIP = clip_config()
SIGLIP = clip_config(
    init_logit_bias=-10,
    custom_text=True,
    text_cfg={
        "context_length": 64, "vocab_size": len(WORDS) + 4, "width": 32, "heads": 2, "layers": 2,
        "hf_tokenizer_name": "local", "no_causal_mask": True, "proj_bias": True, "pool_type": "last",
        "tokenizer_kwargs": {"clean": "canonicalize"},
    },
    vision_cfg={
        "image_size": 224, "timm_model_name": "vit_tiny_patch16_224", "timm_model_pretrained": False,
        "timm_pool": "avg", "timm_proj": "linear",
    },
)  # fmt: skip
SIGLIP2 = {
    **SIGLIP, "text_cfg": {**SIGLIP["text_cfg"], "norm_kwargs": {"eps": 1e-6}, "act_kwargs": {"approximate": "tanh"}}
}  # fmt: skip
MULTILINGUAL = clip_config(
    text_cfg={
        "hf_model_name": "local", "hf_tokenizer_name": "local", "hf_pooler_type": "mean_pooler", "context_length": 32
    },
    custom_text=True,
)  # fmt: skip
MOBILE = clip_config(
    custom_text=True,
    vision_cfg={
        "image_size": SIDE, "timm_model_name": "fastvit_t8", "timm_model_pretrained": False, "timm_pool": "avg",
        "timm_proj": None, "timm_drop": 0.0,
    },
    text_cfg={
        "context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2, "no_causal_mask": True
    },
    embed_dim=768,
)  # fmt: skip


def clip(folder: Path, config: dict[str, Any], *, mean: float = 0.5) -> Path:
    """Save a model of open_clip as its own `save_for_hf` does."""
    folder.mkdir(parents=True)
    config = json.loads(json.dumps(config))
    named = config["text_cfg"].get("hf_model_name")
    if named:
        inner = tf.XLMRobertaConfig(
            vocab_size=len(WORDS) + 4, hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
            intermediate_size=64, max_position_embeddings=64, pad_token_id=0,
        )  # fmt: skip
        inner.save_pretrained(folder)
        config["text_cfg"]["hf_model_name"] = str(folder)
    if config["text_cfg"].get("hf_tokenizer_name"):
        word_tokenizer(kind="roberta" if named else "gemma").save_pretrained(folder)
    config_file = folder / "open_clip_config.json"
    preprocess = {"mean": [mean] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "squash"}
    if "timm_model_name" not in config["vision_cfg"]:
        preprocess["resize_mode"] = "shortest"
    config_file.write_text(json.dumps({"model_cfg": config, "preprocess_cfg": preprocess}), encoding="utf-8")
    model = seeded(lambda: open_clip.create_model(f"local-dir:{folder}", load_weights=False, pretrained_text=False))
    save_config_for_hf(model, config_file, model_config=config)
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, folder / "open_clip_model.safetensors")
    return folder


# Ultralytics


YOLOS = ("yolov8n", "yolov9t", "yolov10n", "yolo11n", "yolo12n", "yolo26n")


def yolo(path: Path, config: str = "yolo11n.yaml") -> Path:
    """Save a YOLO with random weights that finds something, and something else on every picture."""
    with pillow_kept():
        from ultralytics import YOLO, YOLOWorld

    torch.manual_seed(0)
    model = (YOLOWorld if "world" in config else YOLO)(config)
    net = model.model.eval()
    for module in net.modules():
        if isinstance(getattr(module, "cv3", None), torch.nn.ModuleList):
            # Those without NMS have a second head, which finds each object once.
            for branch in (*module.cv3, *(getattr(module, "one2one_cv3", None) or ())):
                if "world" not in config:
                    branch[-1].weight.data.mul_(0.4)  # else scores end at 1.0, all equal
                    branch[-1].bias.data.fill_(-1.4)
            for head in getattr(module, "cv4", ()):
                head.bias.data.fill_(0.0)
    settled(net, 320)
    path.parent.mkdir(parents=True, exist_ok=True)
    model.save(str(path))
    return path


# transformers


def saved(folder: Path, *parts: Any) -> Path:
    """Save models, processors and tokenizers into one folder."""
    for part in parts:
        part.save_pretrained(folder)
    return folder


LABELS = {0: "person", 1: "dog, hound", 2: "car"}
NAMED = {"id2label": LABELS, "label2id": {name: i for i, name in LABELS.items()}}


def detr(folder: Path) -> Path:
    backbone = tf.ResNetConfig(
        embedding_size=16, hidden_sizes=[16, 32, 48, 64], depths=[1, 1, 1, 1], out_features=["stage4"]
    )
    config = tf.DetrConfig(
        backbone_config=backbone, use_timm_backbone=False, use_pretrained_backbone=False, backbone=None,
        d_model=32, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=32, decoder_ffn_dim=32, num_queries=12, **NAMED,
    )  # fmt: skip
    processor = tf.DetrImageProcessor(size={"shortest_edge": 96, "longest_edge": 160})
    return saved(folder, seeded(lambda: tf.DetrForObjectDetection(config)), processor)


def rt_detr(folder: Path) -> Path:
    backbone = tf.RTDetrResNetConfig(
        embedding_size=16, hidden_sizes=[16, 16, 24, 32], depths=[1, 1, 1, 1], layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip
    config = tf.RTDetrV2Config(
        backbone_config=backbone, encoder_in_channels=[16, 24, 32], feat_strides=[8, 16, 32], encoder_hidden_dim=32,
        encoder_ffn_dim=32, encoder_attention_heads=2, d_model=32, num_queries=12, decoder_layers=2,
        decoder_attention_heads=2, decoder_ffn_dim=32, decoder_in_channels=[32, 32, 32], num_denoising=0,
        hidden_expansion=0.5, **NAMED,
    )  # fmt: skip
    processor = tf.RTDetrImageProcessor(size={"height": 96, "width": 96})
    return saved(folder, seeded(lambda: tf.RTDetrV2ForObjectDetection(config)), processor)


def owl(folder: Path) -> Path:
    config = tf.Owlv2Config(
        text_config={
            "vocab_size": 64, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1,
            "num_attention_heads": 2, "max_position_embeddings": 16,
        },
        vision_config={
            "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
            "image_size": 64, "patch_size": 16,
        },
        projection_dim=32,
    )  # fmt: skip
    tokenizer = word_tokenizer()
    tokenizer.model_max_length = 16
    processor = tf.Owlv2Processor(tf.Owlv2ImageProcessor(size={"height": 64, "width": 64}), tokenizer)
    return saved(folder, seeded(lambda: tf.Owlv2ForObjectDetection(config)), processor)


def grounding_dino(folder: Path) -> Path:
    tokenizer = word_tokenizer()
    config = tf.GroundingDinoConfig(
        backbone_config=tf.SwinConfig(
            image_size=96, embed_dim=16, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], window_size=3,
            out_features=["stage2", "stage3", "stage4"],
        ),
        text_config=tf.BertConfig(
            vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
        ),
        num_queries=12, encoder_layers=1, encoder_ffn_dim=32, encoder_attention_heads=2, decoder_layers=2,
        decoder_ffn_dim=32, decoder_attention_heads=2, d_model=32, num_feature_levels=4, max_text_len=32,
    )  # fmt: skip
    images = tf.GroundingDinoImageProcessor(size={"shortest_edge": 96, "longest_edge": 160})
    processor = tf.GroundingDinoProcessor(images, tokenizer)
    return saved(folder, seeded(lambda: tf.GroundingDinoForObjectDetection(config)), processor)


def classifier(folder: Path, kind: str) -> Path:
    small = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    makers: dict[str, Any] = {
        "resnet": lambda: tf.ResNetForImageClassification(
            tf.ResNetConfig(embedding_size=16, hidden_sizes=[16, 24], depths=[1, 1], **NAMED)
        ),
        "efficientnet": lambda: tf.EfficientNetForImageClassification(
            tf.EfficientNetConfig(
                image_size=SIDE,
                hidden_dim=320,
                width_coefficient=0.25,
                depth_coefficient=0.1,
                depth_divisor=4,
                initializer_range=0.5,
                **NAMED,
            )
        ),
        "convnext": lambda: tf.ConvNextForImageClassification(
            tf.ConvNextConfig(hidden_sizes=[16, 24], depths=[1, 1], num_stages=2, **NAMED)
        ),
        "vit": lambda: tf.ViTForImageClassification(tf.ViTConfig(image_size=SIDE, patch_size=16, **small, **NAMED)),
        "dinov2": lambda: tf.Dinov2ForImageClassification(
            tf.Dinov2Config(image_size=SIDE, patch_size=16, **small, **NAMED)
        ),
    }
    processor = tf.ViTImageProcessor(size={"height": SIDE, "width": SIDE})
    return saved(folder, settled(seeded(makers[kind]), SIDE), processor)


def places365(folder: Path) -> Path:
    """Save a classifier with the 365 scenes as labels, in another order than ours."""
    names = dict(enumerate(reversed(places()[0])))
    config = tf.ResNetConfig(
        embedding_size=16, hidden_sizes=[16, 24], depths=[1, 1], id2label=names,
        label2id={name: i for i, name in names.items()},
    )  # fmt: skip
    processor = tf.ViTImageProcessor(size={"height": SIDE, "width": SIDE})
    return saved(folder, seeded(lambda: tf.ResNetForImageClassification(config)), processor)


def timm_classifier(folder: Path) -> Path:
    config = tf.TimmWrapperConfig(architecture="resnet10t", **NAMED)
    model = settled(seeded(lambda: tf.TimmWrapperForImageClassification(config)), SIDE)
    model.config.pretrained_cfg = {
        key: value
        for key, value in model.timm_model.pretrained_cfg.items()
        if isinstance(value, int | float | str | tuple)
    }
    return saved(folder, model, tf.TimmWrapperImageProcessor(model.timm_model.pretrained_cfg))


def segformer(folder: Path) -> Path:
    config = tf.SegformerConfig(
        depths=[1, 1, 1, 1], hidden_sizes=[8, 16, 24, 32], num_attention_heads=[1, 1, 2, 2], decoder_hidden_size=16,
        **NAMED,
    )  # fmt: skip
    processor = tf.SegformerImageProcessor(size={"height": SIDE, "width": SIDE})
    return saved(folder, seeded(lambda: tf.SegformerForSemanticSegmentation(config)), processor)


def mask2former(folder: Path) -> Path:
    config = tf.Mask2FormerConfig(
        backbone_config=tf.SwinConfig(
            image_size=96, embed_dim=16, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], window_size=3,
            out_features=["stage1", "stage2", "stage3", "stage4"],
        ),
        feature_size=32, mask_feature_size=32, hidden_dim=32, encoder_feedforward_dim=32, encoder_layers=1,
        decoder_layers=2, num_attention_heads=2, dim_feedforward=32, num_queries=10, init_std=1.0, init_xavier_std=5.0,
        **NAMED,
    )  # fmt: skip
    processor = tf.Mask2FormerImageProcessor(size={"height": 96, "width": 96})
    return saved(folder, seeded(lambda: tf.Mask2FormerForUniversalSegmentation(config)), processor)


def blip(folder: Path) -> Path:
    tokenizer = word_tokenizer()
    config = tf.BlipConfig(
        text_config={
            "vocab_size": len(tokenizer), "hidden_size": 32, "encoder_hidden_size": 32, "intermediate_size": 32,
            "num_hidden_layers": 1, "num_attention_heads": 2, "bos_token_id": 2, "eos_token_id": 3, "sep_token_id": 3,
            "pad_token_id": 0, "initializer_range": 0.8,
        },
        vision_config={
            "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
            "image_size": SIDE, "patch_size": 16, "initializer_range": 0.5,
        },
        initializer_range=0.8,
    )  # fmt: skip
    processor = tf.BlipProcessor(tf.BlipImageProcessor(size={"height": SIDE, "width": SIDE}), tokenizer)
    return saved(folder, seeded(lambda: tf.BlipForConditionalGeneration(config)), processor)


def blip2(folder: Path) -> Path:
    tokenizer = word_tokenizer(kind="gemma", extra=("<image>",))
    config = tf.Blip2Config(
        vision_config={
            "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
            "image_size": SIDE, "patch_size": 16,
        },
        qformer_config={
            "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
            "encoder_hidden_size": 32, "vocab_size": 40,
        },
        text_config={
            "model_type": "opt", "vocab_size": len(tokenizer), "hidden_size": 32, "ffn_dim": 32,
            "num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 128, "word_embed_proj_dim": 32,
            "init_std": 0.8,
            "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3,
        },
        num_query_tokens=4, image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )  # fmt: skip
    images = tf.BlipImageProcessor(size={"height": SIDE, "width": SIDE})
    processor = tf.Blip2Processor(images, tokenizer, num_query_tokens=4)
    return saved(folder, seeded(lambda: tf.Blip2ForConditionalGeneration(config), seed=1), processor)


def llava(folder: Path) -> Path:
    tokenizer = word_tokenizer(kind="gemma", extra=("<image>",))
    config = tf.LlavaConfig(
        vision_config={
            "model_type": "clip_vision_model", "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2,
            "num_attention_heads": 2, "image_size": SIDE, "patch_size": 16, "projection_dim": 32,
        },
        text_config={
            "model_type": "llama", "vocab_size": len(tokenizer), "hidden_size": 32, "intermediate_size": 32,
            "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 256,
            "bos_token_id": 2, "eos_token_id": 3, "pad_token_id": 0,
        },
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )  # fmt: skip
    images = tf.CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})
    template = (
        "{% for message in messages %}user : {% for part in message['content'] %}"
        "{% if part['type'] == 'image' %}<image> {% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endfor %}"
        "{% if add_generation_prompt %} assistant :{% endif %}"
    )
    processor = tf.LlavaProcessor(
        images, tokenizer, patch_size=16, vision_feature_select_strategy="default", chat_template=template,
        num_additional_image_tokens=1,
    )  # fmt: skip
    return saved(folder, seeded(lambda: tf.LlavaForConditionalGeneration(config)), processor)


def florence2(folder: Path) -> Path:
    places = tuple(f"<loc_{n}>" for n in range(1000))
    tokenizer = word_tokenizer(kind="roberta", extra=("<image>", *places))
    config = tf.Florence2Config(
        vision_config={
            "depths": [1, 1, 1, 1], "embed_dim": [8, 16, 16, 32], "num_heads": [1, 2, 2, 2],
            "num_groups": [1, 2, 2, 2], "window_size": 2, "projection_dim": 32, "drop_path_rate": 0.0,
        },
        text_config={
            "model_type": "bart", "vocab_size": len(tokenizer), "d_model": 32, "encoder_layers": 1,
            "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 32,
            "decoder_ffn_dim": 32, "max_position_embeddings": 1024, "pad_token_id": 0, "bos_token_id": 2,
            "eos_token_id": 3, "decoder_start_token_id": 3, "forced_bos_token_id": 2, "forced_eos_token_id": 3,
            "init_std": 0.8,
        },
        image_token_id=tokenizer.image_token_id, pad_token_id=0, bos_token_id=2, eos_token_id=3,
    )  # fmt: skip
    images = tf.CLIPImageProcessor(
        size={"height": SIDE, "width": SIDE}, do_center_crop=False, crop_size={"height": SIDE, "width": SIDE}
    )
    images.image_seq_length = 5  # four of the picture, and their mean
    rules = {"pure_text": {}, "description_with_bboxes": {}}
    processor = tf.Florence2Processor(images, tokenizer, num_additional_image_tokens=0, post_processor_config=rules)
    return saved(folder, seeded(lambda: tf.Florence2ForConditionalGeneration(config), seed=1), processor)
