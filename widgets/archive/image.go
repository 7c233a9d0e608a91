package archive

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math"
)

// picture is one image of the archive.
type picture struct {
	name          string
	width, height int
	draw          func(*canvas)
}

// images are the documented ones (Kommo "Images"), and one for the tour.
var images = []picture{
	{"logo_main", 400, 272, logo},
	{"logo_small", 108, 108, logo},
	{"logo", 130, 100, logo},
	{"logo_medium", 240, 84, logo},
	{"logo_min", 84, 84, logo},
	{"logo_dp", 174, 109, logo},
	{"tour_1", 800, 544, tour},
}

var (
	paper  = color.NRGBA{0xff, 0xff, 0xff, 0xff}
	accent = color.NRGBA{0x1b, 0x5f, 0xd0, 0xff}
	green  = color.NRGBA{0x1e, 0x8e, 0x5a, 0xff}
	line   = color.NRGBA{0xd5, 0xda, 0xe0, 0xff}
)

func (p picture) png() ([]byte, error) {
	c := &canvas{image.NewNRGBA(image.Rect(0, 0, p.width, p.height))}
	c.box(0, 0, float64(p.width), float64(p.height), 0, paper)
	p.draw(c)
	var out bytes.Buffer
	err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, c.NRGBA)
	return out.Bytes(), err
}

// canvas draws boxes with smooth edges.
type canvas struct{ *image.NRGBA }

// box fills a rectangle with rounded corners; all in pixels.
func (c *canvas) box(x, y, w, h, radius float64, fill color.NRGBA) {
	for py := max(0, int(y)-1); py < min(c.Rect.Dy(), int(y+h)+2); py++ {
		for px := max(0, int(x)-1); px < min(c.Rect.Dx(), int(x+w)+2); px++ {
			// Distance of the pixel's middle from the box: below zero is inside.
			dx := math.Abs(float64(px)+0.5-x-w/2) - w/2 + radius
			dy := math.Abs(float64(py)+0.5-y-h/2) - h/2 + radius
			distance := math.Hypot(max(dx, 0), max(dy, 0)) + min(max(dx, dy), 0) - radius
			c.blend(px, py, fill, min(1, max(0, 0.5-distance)))
		}
	}
}

func (c *canvas) blend(x, y int, over color.NRGBA, cover float64) {
	under := c.NRGBAAt(x, y)
	mix := func(a, b uint8) uint8 { return uint8(math.Round(float64(a)*(1-cover) + float64(b)*cover)) }
	c.SetNRGBA(x, y, color.NRGBA{mix(under.R, over.R), mix(under.G, over.G), mix(under.B, over.B),
		uint8(max(float64(under.A), 255*cover))})
}

// logo is a payment card with a paid mark, as large as the picture allows.
func logo(c *canvas) {
	side := 0.72 * float64(min(c.Rect.Dx(), c.Rect.Dy()))
	c.mark(float64(c.Rect.Dx())/2-side/2, float64(c.Rect.Dy())/2-side/2, side)
}

func (c *canvas) mark(x, y, side float64) {
	unit := side / 12
	c.box(x, y+2*unit, 12*unit, 8*unit, 1.2*unit, accent)
	c.box(x, y+4*unit, 12*unit, 1.4*unit, 0, paper)
	c.box(x+1.4*unit, y+7.4*unit, 4*unit, 1*unit, 0.5*unit, paper)
	c.box(x+8*unit, y+6.6*unit, 5*unit, 5*unit, 2.5*unit, paper)
	c.box(x+8.5*unit, y+7.1*unit, 4*unit, 4*unit, 2*unit, green)
}

// tour shows the card in words of no language: a balance with its bar, and two invoices.
func tour(c *canvas) {
	c.box(250, 40, 300, 464, 16, line)
	c.box(252, 42, 296, 460, 14, paper)
	c.mark(270, 52, 56)
	c.box(340, 68, 180, 22, 11, line)
	c.box(272, 128, 256, 12, 6, line)
	c.box(272, 128, 160, 12, 6, green)
	c.box(272, 164, 256, 44, 8, accent)
	c.box(330, 180, 140, 12, 6, paper)
	for i, chip := range []color.NRGBA{accent, green, green} {
		y := 236 + 84*float64(i)
		c.box(272, y, 256, 68, 8, line)
		c.box(274, y+2, 252, 64, 6, paper)
		c.box(288, y+16, 110, 12, 6, line)
		c.box(288, y+40, 70, 10, 5, line)
		c.box(440, y+22, 72, 24, 12, chip)
	}
}
