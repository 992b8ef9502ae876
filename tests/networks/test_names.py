"""Published weights: the authors' names of parameters lead to ours."""

import pytest
import torch

from blurdm_cli.importing.checkpoints import rename
from blurdm_cli.networks.build import BACKBONES

NAMES = {
    ("fftformer", "paper"): {
        "patch_embed.proj.weight": "stem.weight",
        "encoder_level2.3.ffn.fft": "encoder.1.3.feed.gains",
        "down2_3.body.1.weight": "down.1.weight",
        "decoder_level3.11.attn.to_hidden_dw.weight": "decoder.2.11.attention.mix.weight",
        "decoder_level1.0.attn.norm.body.bias": "decoder.0.0.attention.norm.bias",
        "up3_2.body.1.weight": "up.1.weight",
        "fuse1.att_channel.ffn.project_in.weight": "join.0.block.feed.expand.weight",
        "fuse2.conv2.bias": "join.1.second.bias",
        "refinement.3.norm1.body.weight": "refinement.3.attention_norm.weight",
        "reduce_chan_level2.weight": "idle.weight",
    },
    ("loformer", "small"): {
        "patch_embed.proj.weight": "stem.weight",
        "encoders.2.1.trans1.norm2.body.bias": "encoder.2.2.feed_norm.bias",
        "downs.1.body.0.weight": "down.1.0.weight",
        "middle_blks.6.trans2.attn.0.temperature": "middle.13.attention.temperature",
        "ups.0.body.0.weight": "up.0.0.weight",
        "reduce_chan.1.bias": "join.1.bias",
        "decoders.0.2.trans2.attn.0.mlp.0.weight": "decoder.0.5.attention.gate.weight",
        "decoders.2.0.trans1.attn.0.qkv_dwconv.bias": "decoder.2.0.attention.mix.bias",
        "decoders.2.0.trans1.ffn.0.project_out.bias": "decoder.2.0.feed.reduce.bias",
        "output.weight": "head.weight",
    },
    ("mimo_unet", "plus"): {
        "feat_extract.0.main.0.weight": "stem.weight",
        "feat_extract.2.main.0.bias": "down.1.bias",
        "feat_extract.3.main.0.weight": "up.0.weight",
        "feat_extract.5.main.0.bias": "head.2.bias",
        "ConvsOut.1.main.0.bias": "head.1.bias",
        "AFFs.0.conv.1.main.0.weight": "mix.0.2.weight",
        "SCM1.main.3.main.0.weight": "gate.1.see.6.weight",
        "FAM2.merge.main.0.weight": "gate.0.merge.weight",
        "Encoder.2.layers.19.main.0.main.0.weight": "encoder.2.19.first.weight",
        "Decoder.1.layers.0.main.1.main.0.bias": "decoder.1.0.second.bias",
        "Decoder.2.kv.weight": "fusion.2.to_scale_shift.weight",
    },
    ("nafnet", "width32"): {
        "intro.weight": "stem.weight",
        "encoders.3.27.conv2.bias": "encoder.3.27.mix.bias",
        "encoders.0.0.sca.1.weight": "encoder.0.0.weigh.from_means.weight",
        "downs.2.weight": "down.2.weight",
        "middle_blks.0.norm2.weight": "middle.0.feed_norm.weight",
        "ups.1.0.weight": "up.1.0.weight",
        "decoders.3.0.gamma": "decoder.3.0.feed_share",
        "ending.bias": "head.bias",
    },
    ("stripformer", "paper"): {
        "encoder.en_layer1_1.0.weight": "fine.0.weight",
        "encoder.en_layer2_4.2.bias": "middle.6.second.bias",
        "Trans_block_1.qkv_local_h.weight": "coarse_strips.0.attention.rows.weight",
        "Trans_block_12.PEG.PEG.weight": "coarse_strips.11.position.weight",
        "decoder.de_block_6.conv_v.bias": "middle_strips.5.attention.columns.bias",
        "decoder.de_layer1_1.0.weight": "head.2.weight",
        "Trans_block_2.kv.weight": "coarse_strips.1.fusion.to_scale_shift.weight",
    },
}


@pytest.mark.parametrize(("backbone", "size"), NAMES)
def test_the_authors_names_lead_to_ours(backbone: str, size: str) -> None:
    family = BACKBONES[backbone]
    with torch.device("meta"):
        known = family.network(256, **family.size(size)).state_dict()
    for original, ours in NAMES[backbone, size].items():
        assert rename(original, family.original_names) == ours
        assert ours in known
