"""The papers that the methods come from; the registered parts refer to them and `overproof cite` prints them."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Paper:
    """A work to cite; `key` is its BibTeX key, `arxiv` its number there (empty where it has none)."""

    key: str
    title: str
    authors: str
    venue: str
    year: int
    arxiv: str = ""

    @property
    def place(self) -> str:
        """Where to find it, in few words."""
        return f"arXiv {self.arxiv}" if self.arxiv else f"{self.venue}"

    def bibtex(self) -> str:
        """The work as a BibTeX entry."""
        preprint = f",\n  eprint = {{{self.arxiv}}},\n  archivePrefix = {{arXiv}}" if self.arxiv else ""
        return (
            f"@misc{{{self.key},\n  title = {{{self.title}}},\n  author = {{{self.authors}}},\n"
            f"  year = {{{self.year}}},\n  note = {{{self.venue}}}{preprint}\n}}"
        )


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
FORWARD_2017 = Paper(
    key="patrini2017making",
    title="Making Deep Neural Networks Robust to Label Noise: A Loss Correction Approach",
    authors="Patrini, Giorgio and Rozza, Alessandro and Menon, Aditya Krishna and Nock, Richard and Qu, Lizhen",
    venue="CVPR 2017",
    year=2017,
    arxiv="1609.03683",
)
FIDELITY_2018 = Paper(
    key="dehghani2018fidelity",
    title="Fidelity-Weighted Learning",
    authors="Dehghani, Mostafa and Mehrjou, Arash and Gouws, Stephan and Kamps, Jaap and Schölkopf, Bernhard",
    venue="ICLR 2018",
    year=2018,
    arxiv="1711.02799",
)
PREDICTION_POWERED_2025 = Paper(
    key="shoham2025prediction",
    title="Prediction-Powered Semi-Supervised Learning with Online Power Tuning",
    authors="Shoham, Noa and Dorfman, Ron and Shaer, Shalev and Levy, Kfir Y. and Romano, Yaniv",
    venue="NeurIPS 2025",
    year=2025,
    arxiv="2510.22586",
)
CANDIST_2025 = Paper(
    key="xia2025prompt",
    title="Prompt Candidates, then Distill: A Teacher-Student Framework for LLM-driven Data Annotation",
    authors="Xia, Mingxuan and Wang, Haobo and Li, Yixuan and Yu, Zewei and Wang, Jindong and Zhao, Junbo and "
    "Wu, Runze",
    venue="ACL 2025",
    year=2025,
    arxiv="2506.03857",
)
TRUST_2026 = Paper(
    key="uzunoglu2026trust",
    title="Trust Functions: Near-Lossless Weak-to-Strong Generalization by Learning When to Trust the Weak Teacher",
    authors="Uzunoğlu, Arda and Zhang, Alvin and Khashabi, Daniel",
    venue="ICML 2026",
    year=2026,
    arxiv="2606.01000",
)
SEMIPARAMETRIC_2021 = Paper(
    key="dao2021knowledge",
    title="Knowledge Distillation as Semiparametric Inference",
    authors="Dao, Tri and Kamath, Govinda M. and Syrgkanis, Vasilis and Mackey, Lester",
    venue="ICLR 2021",
    year=2021,
    arxiv="2104.09732",
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
SELF_DISTILLATION_2023 = Paper(
    key="das2023understanding",
    title="Understanding Self-Distillation in the Presence of Label Noise",
    authors="Das, Rudrajit and Sanghavi, Sujay",
    venue="ICML 2023",
    year=2023,
    arxiv="2301.13304",
)
BORN_AGAIN_2018 = Paper(
    key="furlanello2018born",
    title="Born Again Neural Networks",
    authors="Furlanello, Tommaso and Lipton, Zachary C. and Tschannen, Michael and Itti, Laurent and Anandkumar, Anima",
    venue="ICML 2018",
    year=2018,
    arxiv="1805.04770",
)
RETRAINING_2024 = Paper(
    key="das2024retraining",
    title="Retraining with Predicted Hard Labels Provably Increases Model Accuracy",
    authors="Das, Rudrajit and Dhillon, Inderjit S. and Epasto, Alessandro and Javanmard, Adel and Mao, Jieming "
    "and Mirrokni, Vahab and Sanghavi, Sujay and Zhong, Peilin",
    venue="arXiv",
    year=2024,
    arxiv="2406.11206",
)
PARTIAL_LABEL_2024 = Paper(
    key="jeong2024rethinking",
    title="Rethinking Self-Distillation: Label Averaging and Enhanced Soft Label Refinement with Partial Labels",
    authors="Jeong, Hyeonsu and Chung, Hye Won",
    venue="arXiv",
    year=2024,
    arxiv="2402.10482",
)
GCE_2018 = Paper(
    key="zhang2018generalized",
    title="Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy Labels",
    authors="Zhang, Zhilu and Sabuncu, Mert R.",
    venue="NeurIPS 2018",
    year=2018,
    arxiv="1805.07836",
)
MSE_TEACHER_2024 = Paper(
    key="hamidi2024train",
    title="How to Train the Teacher Model for Effective Knowledge Distillation",
    authors="Hamidi, Shayan Mohajer and Deng, Xizhen and Tan, Renhao and Ye, Linfeng and Salamah, Ahmed Hussein",
    venue="ECCV 2024",
    year=2024,
    arxiv="2407.18041",
)
CO_TRAINING_1998 = Paper(
    key="blum1998combining",
    title="Combining Labeled and Unlabeled Data with Co-Training",
    authors="Blum, Avrim and Mitchell, Tom",
    venue="COLT 1998",
    year=1998,
)
STACKING_1992 = Paper(
    key="wolpert1992stacked",
    title="Stacked Generalization",
    authors="Wolpert, David H.",
    venue="Neural Networks 5",
    year=1992,
)
