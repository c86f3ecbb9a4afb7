package report

import (
	"flag"
	"fmt"
	"html"
	"os"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/internal/posture"
)

var update = flag.Bool("update", false, "rewrite the picture of the guide")

// The guide's picture is made of the same parts as the page's; -update
// rewrites it.
func TestPicture(t *testing.T) {
	r := sample(t)
	counts := map[posture.Status]int{}
	for _, f := range r.Findings {
		counts[f.Status]++
	}
	var b strings.Builder
	b.WriteString(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 300" role="img" font-family="system-ui,sans-serif" font-size="13">
<title>A ring of the verdicts by status, and for each control a bar of its own</title>
<style>
.bg{fill:#fff}text{fill:#1b1f24}.track{stroke:#e4e8ec}.rail{fill:#e4e8ec}
.failed{--c:#b3261e}.unfixable{--c:#7d3c98}.unknown{--c:#8a5a00}.passed{--c:#1a7037}.na{--c:#59636e}
circle{fill:none}circle:not(.track){stroke:var(--c)}rect.failed,rect.unfixable,rect.unknown,rect.passed,rect.na{fill:var(--c)}
@media (prefers-color-scheme:dark){.bg{fill:#0e1116}text{fill:#e6edf3}.track{stroke:#2a313a}.rail{fill:#2a313a}
.failed{--c:#ff8a80}.unfixable{--c:#d7a6ee}.unknown{--c:#e6b450}.passed{--c:#6fd08c}.na{--c:#a4aeb9}}
</style>
<rect class="bg" width="720" height="300" rx="8"/>
<g transform="translate(16 16) scale(3.6)"><circle class="track" cx="21" cy="21" r="15.9155" stroke-width="6"/>
`)
	for _, a := range pageArcs(counts) {
		fmt.Fprintf(&b, `<circle class="%s" cx="21" cy="21" r="15.9155" stroke-width="6" stroke-dasharray="%s" stroke-dashoffset="%s"/>`+"\n", a.Class, a.Dash, a.Offset)
	}
	fmt.Fprintf(&b, `</g><text x="92" y="97" text-anchor="middle" font-size="24" font-weight="600">%d</text>`+"\n", len(r.Findings))
	for i, c := range pageCounts(counts) {
		fmt.Fprintf(&b, `<rect class="%s" x="30" y="%d" width="12" height="12" rx="2"/><text x="50" y="%d">%d %s</text>`+"\n", c.Class, 182+20*i, 193+20*i, c.Count, c.Label)
	}
	for i, c := range pageControls(r) {
		y := 20 + 20*i
		fmt.Fprintf(&b, `<text x="220" y="%d">%s</text><rect class="rail" x="330" y="%d" width="200" height="12" rx="2"/>`, y+11, html.EscapeString(c.ID), y)
		for _, bar := range c.Bars {
			fmt.Fprintf(&b, `<rect class="%s" transform="translate(330 0)" x="%s" y="%d" width="%s" height="12"/>`, bar.Class, bar.X, y, bar.Width)
		}
		fmt.Fprintf(&b, `<text x="542" y="%d" font-size="11">%s</text>`+"\n", y+10, html.EscapeString(c.Label))
	}
	b.WriteString("</svg>\n")
	const path = "../../docs/audit-report.svg"
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != b.String() {
		t.Errorf("%s is out of date (%v): go test ./internal/report -update", path, err)
	}
}
