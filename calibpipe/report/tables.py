"""Tables of the page: products, inputs, configurations, versions, five layers."""

from typing import Any

from .completeness import absent_products
from .material import FoundProduct, NightMaterial

__all__ = ["configuration_facts", "five_layers", "input_facts", "product_facts", "versions"]


def product_facts(material: NightMaterial) -> list[dict[str, str]]:
    """Rows of the table of products, in the order of the steps."""
    failed = {record.get("step") for record in material.failures}
    absent = {entry["path"]: entry["reason"] for entry in absent_products(material)}
    unused = material.unused
    rows = []
    for step in material.all_steps:
        for path in step.products:
            product = material.products.get(path)
            if product is None:
                reason = absent.get(path, "left out: the date chose the reference model")
                rows.append(_product_row(path, "absent", reason))
                continue
            state, word = "good", product.facts.get("status", "written")
            if path in unused:
                state, word = "absent", "of an earlier run, not used: the date chose the model"
            elif product.problem:
                state, word = "bad", product.problem
            elif step.name in failed:
                state, word = "bad", "of an earlier run; the last one failed"
            rows.append(
                _product_row(path, state, word)
                | {
                    "link": product.link,
                    "id": product.header.get("CTA PRODUCT ID", ""),
                    "sha256": product.sha256,
                    "size": _readable_size(product.size),
                    "description": product.header.get("CTA PRODUCT DESCRIPTION", ""),
                }
            )
    return rows


def _product_row(path: str, state: str, word: str) -> dict[str, str]:
    empty = dict.fromkeys(("link", "id", "sha256", "size", "description"), "")
    return {"path": path, "state": state, "status": word} | empty


def _readable_size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{max(size / 1e3, 0.1):.1f} kB"


def input_facts(material: NightMaterial) -> list[dict[str, Any]]:
    """Inputs of all products, each once: role, path, checksum, which products used it."""
    own = {product.sha256 for product in material.used.values()}
    inputs: dict[tuple[str, str], dict[str, Any]] = {}
    for product in material.used.values():
        for entry in product.facts.get("inputs", ()):
            if entry["sha256"] in own:
                continue
            key = entry["path"], entry["sha256"]
            row = inputs.setdefault(key, entry | {"used_by": []})
            row["used_by"].append(_short_name(product))
    return sorted(inputs.values(), key=lambda row: (row["role"], row["path"]))


def _short_name(product: FoundProduct) -> str:
    """``density_profile``, ``LSTN-01 coefficients``: what uses an input."""
    folder, *_, name = product.path.split("/")
    stem = name.split(".")[0]
    return stem if folder in ("atmosphere", "array") else f"{folder} {stem}"


def configuration_facts(material: NightMaterial) -> list[dict[str, Any]]:
    """Configuration of each Tool that made a product, with its digest."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for product in material.used.values():
        if "configuration" not in product.facts:
            continue
        tool = product.header.get("CTA ACTIVITY NAME", "unknown")
        digest = product.facts["configuration_digest"]
        values = {
            key: (", ".join(map(str, value)) if isinstance(value, list) else str(value)) or "–"
            for key, value in product.facts["configuration"].items()
            if key not in ("night", "category")
        }
        rows[tool, digest] = {"tool": tool, "digest": digest, "values": values}
    return list(rows.values())


def versions(material: NightMaterial) -> dict[str, str]:
    """Software behind the products; several versions of one package are all named."""
    found: dict[str, set[str]] = {}
    for product in material.used.values():
        for name, version in product.facts.get("software", {}).items():
            found.setdefault(name, set()).add(version)
    names = sorted(found, key=lambda name: (name != "calibpipe", name))
    return {name: ", ".join(sorted(found[name])) for name in names}


def five_layers(material: NightMaterial) -> dict[str, Any] | None:
    """Parameters of CORSIKA's five layers and the cards that hold them."""
    model = material.usable("atmospheric_model")
    if model is None:
        return None
    layers = model.facts["five_layers"]
    columns = ("lower_boundary_in_km", "a_in_g_per_cm2", "b_in_g_per_cm2", "c_in_cm")
    return {
        "rows": [
            [str(i + 1), f"{h:.3f}", *(f"{x:.7g}".replace("-", "\N{MINUS SIGN}") for x in abc)]
            for i, (h, *abc) in enumerate(zip(*(layers[name] for name in columns), strict=True))
        ],
        "cards": "\n".join(layers["steering_cards"]),
    }
