// The page around a report in HTML: one file with its style, no script, nothing loaded from elsewhere (the policy line
// forbids it even if something slipped through), light and dark, fit for print. `{{name}}` is escaped by Mustache,
// `{{{name}}}` holds HTML made by HTMLWriter and ReportCharts.

struct ReportPage: Sendable {
    var language: String
    var title: String
    /// Up is green; in Chinese pages it is red, as on Chinese exchanges.
    var upColor: String
    var downColor: String
    var body: String
    var charts: String
    var hasCharts: Bool
    var chartsTitle: String
    var footer: [String]

    static let template = """
        <!doctype html>
        <html lang="{{language}}">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
        <meta name="referrer" content="no-referrer">
        <meta name="color-scheme" content="light dark">
        <title>{{title}}</title>
        <style>
        :root { --ink: #1d2430; --soft: #5c6675; --line: #d9dee6; --paper: #ffffff; --tint: #f4f6f9; --link: #1757b8;
          --up: {{upColor}}; --down: {{downColor}}; }
        @media (prefers-color-scheme: dark) { :root { --ink: #e7ebf1; --soft: #9aa5b5; --line: #343d4b;
          --paper: #151a21; --tint: #1e252e; --link: #82b1ff; } }
        * { box-sizing: border-box; }
        body { margin: 0; background: var(--paper); color: var(--ink); overflow-wrap: anywhere;
          font: 16px/1.65 system-ui, -apple-system, "Segoe UI", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC",
          sans-serif; }
        main { max-width: 46rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
        h1 { font-size: 1.75rem; line-height: 1.25; margin: 0 0 1rem; }
        h2 { font-size: 1.25rem; margin: 2.25rem 0 .75rem; padding-bottom: .3rem;
          border-bottom: 1px solid var(--line); }
        h3 { font-size: 1.05rem; margin: 1.5rem 0 .5rem; }
        a { color: var(--link); }
        .table { overflow-x: auto; }
        table { border-collapse: collapse; width: 100%; font-size: .92rem; font-variant-numeric: tabular-nums; }
        th, td { padding: .4rem .6rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
        th { color: var(--soft); font-weight: 600; }
        td { overflow-wrap: normal; }
        .right { text-align: right; }
        .center { text-align: center; }
        blockquote { margin: 1rem 0; padding: .1rem 1rem; border-left: 3px solid var(--line); color: var(--soft); }
        code, pre { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: .9em; }
        code { background: var(--tint); padding: .1em .3em; border-radius: 4px; }
        pre { background: var(--tint); padding: .8rem 1rem; border-radius: 6px; overflow-x: auto; }
        pre code { background: none; padding: 0; }
        hr { border: 0; border-top: 1px solid var(--line); margin: 2rem 0; }
        svg { display: block; width: 100%; height: auto; margin: 1rem 0; font: 13px system-ui, sans-serif; }
        svg text { fill: var(--ink); }
        svg .value { fill: var(--soft); }
        svg .name { font-weight: 600; }
        svg .axis { stroke: var(--line); }
        svg rect.up { fill: var(--up); }
        svg rect.down { fill: var(--down); }
        svg rect.flat { fill: var(--soft); }
        svg polyline { fill: none; stroke-width: 2; stroke-linejoin: round; }
        svg polyline.up { stroke: var(--up); }
        svg polyline.down { stroke: var(--down); }
        footer { margin-top: 3rem; padding-top: 1rem; border-top: 1px solid var(--line); color: var(--soft);
          font-size: .85rem; }
        footer p { margin: .2rem 0; }
        @media print { :root { --ink: #000; --soft: #444; --line: #bbb; --paper: #fff; --tint: #f4f4f4; --link: #000; }
          main { max-width: none; padding: 0; } h2, h3 { break-after: avoid; } tr, svg, pre { break-inside: avoid; }
          .table { overflow: visible; } }
        </style>
        </head>
        <body>
        <main>
        <article>
        {{{body}}}
        </article>
        {{#hasCharts}}
        <section>
        <h2>{{chartsTitle}}</h2>
        {{{charts}}}
        </section>
        {{/hasCharts}}
        <footer>
        {{#footer}}
        <p>{{.}}</p>
        {{/footer}}
        </footer>
        </main>
        </body>
        </html>

        """
}
