"""A folder with a recipe to change: a shipped recipe, its prompts beside it, and what each part is for as comments."""

import re
from pathlib import Path

from services.contracts.recipe import Recipe
from services.recipes import FOLDER, BadRecipe
from services.recipes.check import PLACEHOLDERS

FILE = "recipe.yaml"
_PROMPT = re.compile(r"prompt: (\S+\.md)")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def write(folder: Path, source: str = "default") -> Path:
    """Write the shipped recipe `source` into a new folder, under the folder's name. Returns the recipe's file.

    Raises BadRecipe for an unknown source, a folder that is there already, and a name that can't be one.
    """
    shipped = FOLDER / f"{source}.yaml"
    if not shipped.is_file():
        known = ", ".join(sorted(each.stem for each in FOLDER.glob("*.yaml")))
        raise BadRecipe(f"no recipe {source} is shipped: take one of {known}")
    if not _NAME.fullmatch(folder.name):
        raise BadRecipe(f"{folder.name}: a name has letters, digits, dots, dashes and underscores")
    if folder.exists():
        raise BadRecipe(f"{folder} is there already: choose another name, or remove it")
    text = shipped.read_text(encoding="utf-8")
    (folder / "prompts").mkdir(parents=True)
    for prompt in dict.fromkeys(_PROMPT.findall(text)):
        file = FOLDER / prompt
        (folder / "prompts" / file.name).write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    text = _PROMPT.sub(lambda found: f"prompt: prompts/{Path(found[1]).name}", text)
    text = re.sub(r"^name: .*$", f"name: {folder.name}", text, count=1, flags=re.MULTILINE)
    file = folder / FILE
    file.write_text("".join(_commented(line) for line in text.splitlines(keepends=True)), encoding="utf-8")
    return file


def _commented(line: str) -> str:
    """The line, after a comment where it begins a part of the recipe."""
    name = line.partition(":")[0]
    field = Recipe.model_fields.get(name)
    if field is None or field.description is None:
        return line
    comment = f"\n# {field.description}\n"
    if name in PLACEHOLDERS:
        needed, optional = (" ".join(f"{{{each}}}" for each in sorted(names)) for names in PLACEHOLDERS[name])
        comment += f"# Its prompt needs {needed}{f' and may have {optional}' if optional else ''}.\n"
    return comment + line
