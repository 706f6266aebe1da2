//! The page itself: style, headings, tables, figures. Everything that comes from outside is escaped here.

use std::fmt::Write as _;

use crate::plots::escape;

/// One field of a table.
pub(super) enum Cell {
    /// Text, aligned left.
    Text(String),
    /// A number or an interval, aligned right.
    Number(String),
    /// A verdict: its word, with a sign and a colour of its own.
    Verdict(crate::stats::Verdict),
    /// Nothing to say.
    Empty,
}

impl Cell {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Cell::Text(text.into())
    }

    pub(super) fn number(text: impl Into<String>) -> Self {
        Cell::Number(text.into())
    }

    fn html(&self) -> String {
        use crate::stats::Verdict;
        match self {
            Cell::Text(text) => format!("<td>{}</td>", escape(text)),
            Cell::Number(text) => format!("<td class=\"n\">{}</td>", escape(text)),
            Cell::Verdict(verdict) => {
                let sign = match verdict {
                    Verdict::Agrees => "✓",
                    Verdict::Differs => "✗",
                    Verdict::Undecided => "?",
                };
                let name = verdict.name();
                format!("<td class=\"{name}\">{sign} {name}</td>")
            }
            Cell::Empty => "<td class=\"n none\">–</td>".into(),
        }
    }
}

/// A page under construction.
pub(super) struct Page {
    title: String,
    body: String,
    contents: Vec<(String, String)>,
}

impl Page {
    pub(super) fn new(title: &str) -> Self {
        Page { title: title.to_owned(), body: String::new(), contents: Vec::new() }
    }

    /// Starts a section.
    pub(super) fn section(&mut self, id: &'static str, heading: &str) {
        let heading = escape(heading);
        self.raw(&format!("<h2 id=\"{id}\">{heading}</h2>\n"));
        self.contents.push((id.to_owned(), heading));
    }

    /// A paragraph of our own, with markup.
    pub(super) fn prose(&mut self, html: &'static str) {
        self.raw("<p>");
        self.raw(html);
        self.raw("</p>\n");
    }

    /// A paragraph of plain text.
    pub(super) fn paragraph(&mut self, text: &str) {
        self.raw(&format!("<p>{}</p>\n", escape(text)));
    }

    /// A list of plain texts.
    pub(super) fn list(&mut self, items: &[String]) {
        self.raw("<ul>\n");
        for item in items {
            self.raw(&format!("<li>{}</li>\n", escape(item)));
        }
        self.raw("</ul>\n");
    }

    /// A list of our own, with markup.
    pub(super) fn points(&mut self, items: &[&'static str]) {
        self.raw("<ul>\n");
        for item in items {
            self.raw(&format!("<li>{item}</li>\n"));
        }
        self.raw("</ul>\n");
    }

    /// A table that scrolls sideways where the screen is narrow. Headings follow their column's alignment,
    /// taken from the first row.
    pub(super) fn table(&mut self, caption: &str, headings: &[&str], rows: &[Vec<Cell>]) {
        self.raw("<div class=\"wide\"><table>\n");
        if !caption.is_empty() {
            self.raw(&format!("<caption>{}</caption>\n", escape(caption)));
        }
        self.raw("<thead><tr>");
        for (column, heading) in headings.iter().enumerate() {
            let number = rows.iter().any(|row| matches!(row.get(column), Some(Cell::Number(_))));
            let class = if number { " class=\"n\"" } else { "" };
            self.raw(&format!("<th{class} scope=\"col\">{}</th>", escape(heading)));
        }
        self.raw("</tr></thead>\n<tbody>\n");
        for row in rows {
            self.raw("<tr>");
            for cell in row {
                self.raw(&cell.html());
            }
            self.raw("</tr>\n");
        }
        self.raw("</tbody></table></div>\n");
    }

    /// Names and values, one per line.
    pub(super) fn facts(&mut self, facts: &[(&str, String)]) {
        self.raw("<div class=\"wide\"><table class=\"facts\"><tbody>\n");
        for (name, value) in facts {
            let (name, value) = (escape(name), escape(value));
            self.raw(&format!("<tr><th scope=\"row\">{name}</th><td><code>{value}</code></td></tr>\n"));
        }
        self.raw("</tbody></table></div>\n");
    }

    /// A picture drawn by [`crate::plots`].
    pub(super) fn figure(&mut self, svg: &str, caption: &str) {
        let svg = crate::plots::inline(svg);
        self.raw("<figure>\n");
        self.raw(&svg);
        self.raw(&format!("<figcaption>{}</figcaption>\n</figure>\n", escape(caption)));
    }

    pub(super) fn finish(self) -> String {
        let title = escape(&self.title);
        let mut page = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
             <h1>{title}</h1>\n<nav aria-label=\"Contents\"><ul>\n"
        );
        for (id, heading) in &self.contents {
            // Writing to a String cannot fail.
            let _ = writeln!(page, "<li><a href=\"#{id}\">{heading}</a></li>");
        }
        page.push_str("</ul></nav>\n");
        page.push_str(&self.body);
        page.push_str("</main>\n</body>\n</html>\n");
        page
    }

    fn raw(&mut self, html: &str) {
        self.body.push_str(html);
    }
}

const STYLE: &str = "\
:root { color-scheme: light dark; --ink: #1f2328; --paper: #ffffff; --soft: #f3f4f6; --line: #d3d7dd;
  --link: #0060a8; --good: #00694a; --bad: #a83200; --open: #7a5c00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e7eb; --paper: #16191d; --soft: #21262c;
  --line: #3b424b; --link: #6cb6f0; --good: #4cc79e; --bad: #ff8d5c; --open: #e2b83e; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 1rem; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .75rem; padding-top: .75rem; border-top: 1px solid var(--line); }
p, li { max-width: 46rem; }
a { color: var(--link); }
nav ul { list-style: none; padding: 0; margin: 0 0 1rem; display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; }
nav a { text-decoration: none; }
nav a:hover { text-decoration: underline; }
code { font: .88em ui-monospace, monospace; overflow-wrap: anywhere; }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding: 0 0 .4rem; font-weight: 600; }
th, td { padding: .35rem .8rem .35rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
thead th { border-bottom: 2px solid var(--line); vertical-align: bottom; }
td.n, th.n { text-align: right; white-space: nowrap; }
td.none { opacity: .5; }
td.agrees, td.differs, td.undecided { white-space: nowrap; font-weight: 600; }
td.agrees { color: var(--good); } td.differs { color: var(--bad); } td.undecided { color: var(--open); }
.facts th { white-space: nowrap; font-weight: 600; }
figure { margin: 1.5rem 0; overflow-x: auto; }
figure svg { display: block; max-width: 100%; min-width: 40rem; height: auto; }
figcaption { font-size: .9rem; opacity: .8; max-width: 46rem; margin-top: .5rem; }
@media print { :root { --ink: #000; --paper: #fff; --soft: #fff; --line: #999; --good: #000; --bad: #000; --open: #000; }
  body { font-size: 10.5pt; } nav { display: none; } main { max-width: none; padding: 0; }
  h2 { break-after: avoid; } figure, tr { break-inside: avoid; } .wide { overflow: visible; } }
";
