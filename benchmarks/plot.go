package benchmarks

import (
	"bytes"
	"image/color"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// sans is the font of the plots.
var sans = font.Font{Typeface: "Liberation", Variant: "Sans"}

// colors of the peers: those of Okabe and Ito, which the colour-blind can tell
// apart.
var colors = map[string]color.Color{
	bindingName:         color.RGBA{0xd5, 0x5e, 0x00, 0xff},
	poolName:            color.RGBA{0x00, 0x00, 0x00, 0xff},
	"autopipeline":      color.RGBA{0x00, 0x72, 0xb2, 0xff},
	"asyncautopipeline": color.RGBA{0x56, 0xb4, 0xe9, 0xff},
	"rueidis":           color.RGBA{0x00, 0x9e, 0x73, 0xff},
}

// plotRows draws operations a second by the number of callers as an SVG: a panel
// for each of the workloads compared, a line for each peer.
func plotRows(tb testing.TB, sections []section) []byte {
	tb.Helper()
	var panels []*plot.Plot
	for _, s := range sections {
		for _, group := range compared(s.rows) {
			panels = append(panels, newPanel(tb, s.title, group))
		}
	}
	canvas := vgsvg.New(4*vg.Inch*vg.Length(len(panels)), 3*vg.Inch)
	drawPanels(draw.New(canvas), panels)
	var out bytes.Buffer
	_, err := canvas.WriteTo(&out)
	require.NoError(tb, err)
	// Not everybody who looks at it has that font.
	return bytes.ReplaceAll(out.Bytes(), []byte("font-family:Liberation Sans;"), []byte("font-family:Liberation Sans,Arial,sans-serif;"))
}

// drawPanels draws the panels side by side.
func drawPanels(canvas draw.Canvas, panels []*plot.Plot) {
	// White, so that it can be read on a dark page, too.
	canvas.SetColor(color.White)
	canvas.Fill(canvas.Path())
	tiles := draw.Tiles{Cols: len(panels), Rows: 1, PadX: vg.Points(12), PadLeft: vg.Points(4), PadRight: vg.Points(12), PadTop: vg.Points(4), PadBottom: vg.Points(4)}
	for i, at := range plot.Align([][]*plot.Plot{panels}, tiles, canvas)[0] {
		panels[i].Draw(at)
	}
}

func newPanel(tb testing.TB, title string, rows []*row) *plot.Plot {
	tb.Helper()
	p := plot.New()
	p.Title.Text = rows[0].title()
	if title != "" {
		p.Title.Text = title + ": " + p.Title.Text
	}
	p.Title.Padding = vg.Points(6)
	p.X.Label.Text = "callers"
	p.Y.Label.Text = "1,000 operations a second"
	p.X.Scale = plot.LogScale{}
	p.X.Tick.Marker = callerTicks(rows)
	p.Y.Min = 0
	p.Legend.Top, p.Legend.Left = true, true
	p.Legend.XOffs = vg.Points(6)
	for _, style := range []*font.Font{&p.Title.TextStyle.Font, &p.X.Label.TextStyle.Font, &p.Y.Label.TextStyle.Font,
		&p.X.Tick.Label.Font, &p.Y.Tick.Label.Font, &p.Legend.TextStyle.Font} {
		*style = font.From(sans, style.Size)
	}

	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = color.Gray{0xdd}, color.Gray{0xdd}
	p.Add(grid)
	for _, peer := range rows[0].peers {
		var points plotter.XYs
		for _, r := range rows {
			points = append(points, plotter.XY{X: float64(r.callers), Y: r.median(peer, opsPerSecond) / 1000})
		}
		line, dots, err := plotter.NewLinePoints(points)
		require.NoError(tb, err)
		line.Color, dots.Color = colors[peer], colors[peer]
		line.Width = vg.Points(1.5)
		dots.Shape = draw.CircleGlyph{}
		p.Add(line, dots)
		p.Legend.Add(peer, line, dots)
	}
	p.Y.Max *= 1.35 // room for the legend
	return p
}

// callerTicks marks the numbers of callers that were measured.
func callerTicks(rows []*row) plot.ConstantTicks {
	var ticks plot.ConstantTicks
	for _, r := range rows {
		ticks = append(ticks, plot.Tick{Value: float64(r.callers), Label: strconv.Itoa(r.callers)})
	}
	return ticks
}
