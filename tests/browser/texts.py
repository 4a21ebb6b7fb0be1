"""What the fixtures' models say: our own text, made up to show each thing that the page shows."""

HYPERKALAEMIA = (
    "A 58-year-old man with advanced chronic kidney disease comes in with weakness of both legs. His potassium is "
    "7.1 mmol/L. The electrocardiogram shows no P waves, a QRS of 160 ms and peaked T waves. Which drug is to be given "
    "first?"
)
HYPERKALAEMIA_OPTIONS = {
    "A": "Insulin with glucose, intravenously",
    "B": "Calcium gluconate, intravenously",
    "C": "Nebulised salbutamol",
    "D": "Sodium polystyrene sulfonate, by mouth",
}

CALCIUM = (
    "The broad QRS and the missing P waves mean that this potassium already endangers the heart. Three things can be "
    "done: protect the membrane, shift potassium into cells, remove it from the body. Only the first works within "
    "minutes.\n\nCalcium raises the threshold potential, so that the distance to the resting potential is restored. It "
    "does not lower potassium at all. Insulin with glucose and salbutamol follow, for they shift it; dialysis or a "
    "binder removes it.\n\nFinal answer: B"
)
CALCIUM_THIN = (
    "Potassium of 7.1 with changes of the ECG is an emergency. Calcium gluconate lowers potassium quickly and protects "
    "the heart. After that give insulin.\n\nFinal answer: B"
)
CALCIUM_MENDED = (
    "Potassium of 7.1 with changes of the ECG is an emergency, since the broad QRS announces ventricular fibrillation. "
    "Calcium gluconate does not lower potassium, but within three minutes it protects the heart. After that give "
    "insulin with glucose, which shifts potassium into cells, and arrange dialysis.\n\nFinal answer: B"
)
CALCIUM_WORSE = (
    "The broad QRS and the missing P waves mean that this potassium already endangers the heart. Three things can be "
    "done: protect the membrane, shift potassium into cells, remove it from the body. All of them work within "
    "minutes.\n\nCalcium raises the threshold potential. Insulin with glucose and salbutamol follow.\n\nFinal answer: B"
)
INSULIN = (
    "The man's kidneys cannot excrete potassium, so it has to go into the cells. Insulin drives the sodium-potassium "
    "pump and lowers potassium by about 1 mmol/L within half an hour; glucose keeps him from hypoglycaemia. Salbutamol "
    "would add to it, but is less reliable in kidney disease.\n\nFinal answer: A"
)
SALBUTAMOL = (
    "A beta agonist shifts potassium into cells, needs no intravenous line, and can be begun at once. With weakness of "
    "the legs the patient can still inhale.\n\nFinal answer: C"
)
CUT_OFF = "Let us go through the options one after the other. Insulin with glucose shifts potassium into cells, which"

AXILLARY = (
    "The axillary nerve winds around the surgical neck of the humerus together with the posterior circumflex artery, "
    "and is injured there: the deltoid weakens, and the skin over it is numb.\n\nFinal answer: B"
)
RADIAL = (
    "The radial nerve runs in its groove along the shaft. At the surgical neck it still lies medially, so it is rarely "
    "hurt by such a fracture; but of the nerves named it is the largest.\n\nFinal answer: A"
)

SCRIPT = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script> Which & why?"
