"""Words and tables as LaTeX, Markdown and CSV."""

from analysis.grids import escape


def figure(name: str, caption: str, wide: bool) -> str:
    r"""Returns a LaTeX figure that includes `name`.pdf with its caption, for \input.

    Args:
        name: File without its kind.
        caption: Plain text.
        wide: Whether it goes over both columns.
    """
    star, width = ("*", r"\textwidth") if wide else ("", r"\columnwidth")
    lines = [
        rf"\begin{{figure{star}}}",
        r"  \centering",
        rf"  \includegraphics[width={width}]{{{name}}}",
        rf"  \caption{{{escape(caption)}}}",
        rf"  \label{{fig:{name}}}",
        rf"\end{{figure{star}}}",
    ]
    return "\n".join(lines) + "\n"
