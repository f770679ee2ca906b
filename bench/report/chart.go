package report

import (
	"bytes"
	"cmp"
	"fmt"
	"html/template"
	"image/color"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// colours are those of Okabe and Ito, which the colour-blind tell apart; beyond
// them they come again with dashes.
var colours = []color.Color{
	color.RGBA{0x00, 0x00, 0x00, 0xff}, color.RGBA{0xd5, 0x5e, 0x00, 0xff}, color.RGBA{0x00, 0x72, 0xb2, 0xff},
	color.RGBA{0x00, 0x9e, 0x73, 0xff}, color.RGBA{0xcc, 0x79, 0xa7, 0xff}, color.RGBA{0xe6, 0x9f, 0x00, 0xff},
	color.RGBA{0x56, 0xb4, 0xe9, 0xff},
}

const (
	chartWidth  = 15 * vg.Centimeter
	chartHeight = 11 * vg.Centimeter
	margin      = 20 // points on the right, for half of the last size
)

// chart draws one ratio of all curves over the size, which has a logarithmic
// axis, as an SVG element.
func chart(label string, curves []Curve, ratio func(Point) float64) (template.HTML, error) {
	p := plot.New()
	p.X.Label.Text, p.Y.Label.Text = "cache size", label
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.TickerFunc(sizeTicks)
	// Names to the right of their lines: a browser's font may be wider than ours.
	p.Legend.Top, p.Legend.Left, p.Legend.XOffs = true, true, chartWidth*0.55
	p.Legend.ThumbnailWidth, p.Legend.Padding = vg.Points(24), vg.Points(4)
	p.Add(plotter.NewGrid())
	for i, c := range curves {
		line, points, err := plotter.NewLinePoints(coordinates(c.Points, ratio))
		if err != nil {
			return "", fmt.Errorf("draw %s: %w", c.Policy, err)
		}
		colour := colours[i%len(colours)]
		line.Color, line.Width, points.Color = colour, vg.Points(1.5), colour
		points.Shape, points.Radius = draw.CircleGlyph{}, vg.Points(2)
		if i >= len(colours) {
			line.Dashes = []vg.Length{vg.Points(4), vg.Points(3)}
		}
		p.Add(line, points)
		p.Legend.Add(c.Policy, line, points)
	}
	// Room above for the legend, and around a single point, which is no range.
	p.Y.Min = math.Floor(p.Y.Min*10) / 10
	p.Y.Max = max(p.Y.Max+(p.Y.Max-p.Y.Min)*0.06*float64(len(curves)+1), p.Y.Min+0.1)
	p.X.Min, p.X.Max = p.X.Min/1.1, p.X.Max*1.1
	canvas := vgsvg.New(chartWidth, chartHeight)
	p.Draw(draw.Crop(draw.New(canvas), 0, -margin, 0, 0))
	var out bytes.Buffer
	if _, err := canvas.WriteTo(&out); err != nil {
		return "", fmt.Errorf("draw %s: %w", label, err)
	}
	return element(out.String()), nil
}

// coordinates puts the points in order of size.
func coordinates(points []Point, ratio func(Point) float64) plotter.XYs {
	sorted := slices.SortedFunc(slices.Values(points), func(a, b Point) int { return cmp.Compare(a.Bytes, b.Bytes) })
	xys := make(plotter.XYs, len(sorted))
	for i, p := range sorted {
		xys[i] = plotter.XY{X: float64(p.Bytes), Y: ratio(p)}
	}
	return xys
}

// element takes the svg element out of a document. Its text was escaped by the
// canvas. Within HTML it needs no name space.
func element(document string) template.HTML {
	document = document[max(strings.Index(document, "<svg"), 0):]
	for _, name := range []string{`xmlns="http://www.w3.org/2000/svg"`, `xmlns:xlink="http://www.w3.org/1999/xlink"`} {
		document = strings.Replace(document, name, "", 1)
	}
	return template.HTML(document)
}

// sizeTicks marks powers of two, ten at the most.
func sizeTicks(least, most float64) []plot.Tick {
	from, to := math.Ceil(math.Log2(least)), math.Floor(math.Log2(most))
	step := max(math.Ceil((to-from+1)/10), 1)
	var ticks []plot.Tick
	for power := from; power <= to; power += step {
		size := math.Exp2(power)
		ticks = append(ticks, plot.Tick{Value: size, Label: sizeText(int64(size))})
	}
	return ticks
}
