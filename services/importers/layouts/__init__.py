"""The layouts of published data sets, one file each. Specific layouts come before general ones."""

from services.importers.layouts import (
    arc,
    bigbio_qa,
    bioasq,
    biomed_r1,
    careqa,
    cmb,
    cmexam,
    frenchmedmcqa,
    frenchmedmcqa_hub,
    head_qa,
    jama,
    kormedmcqa,
    medbullets,
    medmcqa,
    medqa,
    medxpertqa,
    mmlu,
    mmlu_hub,
    mmlu_pro,
    openlifescienceai,
    pubmedqa,
    pubmedqa_hub,
    swag,
)
from services.importers.layouts.layout import Layout

LAYOUTS: tuple[Layout, ...] = tuple(
    module.LAYOUT
    for module in (
        medmcqa, biomed_r1, medqa, jama, medbullets, mmlu, mmlu_hub, mmlu_pro, pubmedqa, pubmedqa_hub, bigbio_qa,
        bioasq, head_qa, medxpertqa, careqa, kormedmcqa, cmb, cmexam, frenchmedmcqa, frenchmedmcqa_hub,
        openlifescienceai, swag, arc,
    )
)  # fmt: skip
"""All layouts in the order in which they are tried."""
