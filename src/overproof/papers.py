"""The works behind the methods; they travel with the objects and `overproof cite` prints them."""

from overproof.registry import Paper

HINTON_2015 = Paper(
    key="hinton2015distilling",
    title="Distilling the Knowledge in a Neural Network",
    authors="Hinton, Geoffrey and Vinyals, Oriol and Dean, Jeff",
    venue="NIPS 2014 Deep Learning Workshop",
    year=2015,
    arxiv="1503.02531",
)
WD_2022 = Paper(
    key="iliopoulos2022weighted",
    title="Weighted Distillation with Unlabeled Examples",
    authors="Iliopoulos, Fotis and Kontonis, Vasilis and Baykal, Cenk and Menghani, Gaurav and Trinh, Khoa "
    "and Vee, Erik",
    venue="NeurIPS 2022",
    year=2022,
    arxiv="2210.06711",
)
SLAM_2023 = Paper(
    key="kontonis2023slam",
    title="SLaM: Student-Label Mixing for Distillation with Unlabeled Examples",
    authors="Kontonis, Vasilis and Iliopoulos, Fotis and Trinh, Khoa and Baykal, Cenk and Menghani, Gaurav "
    "and Vee, Erik",
    venue="NeurIPS 2023",
    year=2023,
    arxiv="2302.03806",
)
FIDELITY_2018 = Paper(
    key="dehghani2018fidelity",
    title="Fidelity-Weighted Learning",
    authors="Dehghani, Mostafa and Mehrjou, Arash and Gouws, Stephan and Kamps, Jaap and Schölkopf, Bernhard",
    venue="ICLR 2018",
    year=2018,
    arxiv="1711.02799",
)
DFND_2021 = Paper(
    key="chen2021wild",
    title="Learning Student Networks in the Wild",
    authors="Chen, Hanting and Guo, Tianyu and Xu, Chang and Li, Wenshuo and Xu, Chunjing and Xu, Chao and Wang, Yunhe",
    venue="CVPR 2021",
    year=2021,
)
KD3_2023 = Paper(
    key="tang2023distribution",
    title="Distribution Shift Matters for Knowledge Distillation with Webly Collected Images",
    authors="Tang, Jialiang and Chen, Shuo and Niu, Gang and Sugiyama, Masashi and Gong, Chen",
    venue="ICCV 2023",
    year=2023,
    arxiv="2307.11469",
)
