// The theme's toggles of the sidebar have a picture only.
document.querySelectorAll("summary:has(.toctree-toggle)").forEach((toggle) => toggle.setAttribute("aria-label", "pages below"));
