"""The catalogue: one card per network, in the order in which they are listed.

Nothing here imports torch, so that the command line lists the networks at once.
"""

from .card import BackboneCard

_CARDS = (
    BackboneCard(
        name="ACM",
        network="festkit.backbones.acm:ACM",
        divisor=16,
        parameters=397_971,
        macs_256=345_653_888,
        macs_512=1_382_613_632,
        paper="Dai et al., Asymmetric Contextual Modulation for Infrared Small Target Detection, "
        "WACV 2021, https://arxiv.org/abs/2009.14530",
        recipe="Adagrad 0.05, weight decay 1e-4, 300 epochs, batch 8, crops of 480 px, soft IoU "
        "loss",
        published_parameters=397_971,
    ),
    BackboneCard(
        name="ALCNet",
        network="festkit.backbones.alcnet:ALCNet",
        divisor=16,
        parameters=427_109,
        macs_256=297_435_776,
        macs_512=1_189_741_184,
        paper="Dai et al., Attentional Local Contrast Networks for Infrared Small Target "
        "Detection, TGRS 2021, https://arxiv.org/abs/2012.08573",
        recipe="Adam 5e-4, a tenth of it from epochs 200 and 300 on, 400 epochs, batch 16, crops "
        "of 256 px, soft IoU loss",
        published_parameters=520_037,
    ),
    BackboneCard(
        name="MLCL-Net",
        network="festkit.backbones.mlcl_net:MLCLNet",
        divisor=4,
        parameters=559_809,
        macs_256=6_105_858_048,
        macs_512=24_423_432_192,
        paper="Yu et al., Infrared Small Target Detection Based on Multiscale Local Contrast "
        "Learning Networks, Infrared Physics & Technology 123, 2022, "
        "https://doi.org/10.1016/j.infrared.2022.104107",
        recipe="Adam 1e-4, 500 epochs, batch 4, 512 px (256 px for NUDT-SIRST), soft IoU loss, "
        "float16 autocast",
        published_parameters=559_809,
    ),
    BackboneCard(
        name="ALCL-Net",
        network="festkit.backbones.alcl_net:ALCLNet",
        divisor=16,
        parameters=5_668_145,
        macs_256=6_673_137_664,
        macs_512=26_692_550_656,
        paper="Yu et al., Pay Attention to Local Contrast Learning Networks for Infrared Small "
        "Target Detection, IEEE GRSL 19, 2022, https://doi.org/10.1109/LGRS.2022.3178984",
        recipe="Adam 1e-4, 500 epochs, batch 4, 512 px (256 px for NUDT-SIRST), soft IoU loss, "
        "float16 autocast",
        published_parameters=5_668_145,
    ),
    BackboneCard(
        name="DNA-Net",
        network="festkit.backbones.dna_net:DNANet",
        divisor=16,
        parameters=4_696_837,
        macs_256=13_926_958_464,
        macs_512=55_707_660_672,
        paper="Li et al., Dense Nested Attention Network for Infrared Small Target Detection, IEEE "
        "TIP 32, 2023, https://arxiv.org/abs/2106.00487",
        recipe="Adagrad 0.05, cosine to 1e-5, 1500 epochs, batch 4, 256 px, soft IoU loss averaged "
        "over four outputs",
        published_parameters=4_696_888,
        published_macs=(13_930_104_192, 55_720_243_584),
        deep_supervision=True,
    ),
    BackboneCard(
        name="GGL-Net",
        network="festkit.backbones.ggl_net:GGLNet",
        divisor=16,
        parameters=8_988_093,
        macs_256=9_689_496_704,
        macs_512=38_757_430_400,
        paper="Zhao et al., Gradient-Guided Learning Network for Infrared Small Target Detection, "
        "IEEE GRSL 20, 2023, https://arxiv.org/abs/2512.09497",
        recipe="Adam 1e-4, 500 epochs, batch 4, 512 px (256 px for NUDT-SIRST), soft IoU loss, "
        "float16 autocast",
        published_parameters=8_988_093,
    ),
    BackboneCard(
        name="UIU-Net",
        network="festkit.backbones.uiu_net:UIUNet",
        divisor=1,
        parameters=50_541_461,
        macs_256=54_297_565_696,
        macs_512=217_189_353_472,
        paper="Wu et al., UIU-Net: U-Net in U-Net for Infrared Small Object Detection, IEEE TIP "
        "32, 2023, https://arxiv.org/abs/2212.00968",
        recipe="Adam 1e-3, 500 epochs, batch 3, resized to 320 px, crops of 288 px, BCE summed "
        "over seven outputs",
        published_parameters=50_541_461,
        deep_supervision=True,
    ),
    BackboneCard(
        name="MSDA-Net",
        network="festkit.backbones.msda_net:MSDANet",
        divisor=16,
        parameters=4_791_041,
        macs_256=20_975_895_808,
        macs_512=83_903_542_528,
        paper="Zhao et al., Multi-Scale Direction-Aware Network for Infrared Small Target "
        "Detection, IEEE TGRS 2025, https://arxiv.org/abs/2406.02037",
        recipe="Adam 1e-4, 500 epochs, batch 4, 512 px (256 px for NUDT-SIRST), soft IoU loss, "
        "float16 autocast",
        published_parameters=4_805_089,
    ),
    BackboneCard(
        name="ALCNet-LC",
        network="festkit.backbones.alcnet_lc:ALCNetLC",
        divisor=4,
        smallest=72,
        parameters=372_573,
        macs_256=3_610_509_312,
        macs_512=14_442_037_248,
        paper="Dai et al., Attentional Local Contrast Networks for Infrared Small Target "
        "Detection, TGRS 2021, https://arxiv.org/abs/2012.08573",
        recipe="Adagrad 0.1, weight decay 1e-4, 300 epochs, batch 2, crops of 480 px, soft IoU "
        "loss",
    ),
)

CATALOGUE = {card.name: card for card in _CARDS}
"""Every card by the name of its network."""
