package paypage

import (
	"math"
	"strconv"
)

// Our own colour, and the two texts: one of pure white and pure black reads on any colour, softer ones would not.
const (
	ours  = "#1a5fd0"
	light = "#ffffff"
	dark  = "#000000"
)

// Readable returns a colour fit for a button and the text to write on it, light or dark, whichever contrasts more
// (WCAG 2, at least 4.5 to 1). What is not #rrggbb becomes our own colour.
func Readable(accent string) (background, text string) {
	luminance, ok := luminanceOf(accent)
	if !ok {
		accent = ours
		luminance, _ = luminanceOf(ours)
	}
	if lightness, _ := luminanceOf(light); contrast(lightness, luminance) >= 4.5 {
		return accent, light
	}
	return accent, dark
}

// contrast of two luminances, from 1 to 21.
func contrast(a, b float64) float64 {
	return (max(a, b) + 0.05) / (min(a, b) + 0.05)
}

// luminanceOf is WCAG's relative luminance of #rrggbb, 0 to 1.
func luminanceOf(colour string) (float64, bool) {
	if len(colour) != 7 || colour[0] != '#' {
		return 0, false
	}
	sum := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		channel, err := strconv.ParseUint(colour[1+2*i:3+2*i], 16, 8)
		if err != nil {
			return 0, false
		}
		c := float64(channel) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum, true
}
