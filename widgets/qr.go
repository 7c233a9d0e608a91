package widgets

import (
	"bytes"
	"image/png"
	"net/http"

	"github.com/boombuler/barcode"
	"github.com/boombuler/barcode/qr"
	"github.com/gin-gonic/gin"
)

// qrSize is the side of a QR picture in pixels: sharp on paper, a few kilobytes.
const qrSize = 512

// PayQR answers GET /p/{token}/qr.png: the link's own address as a picture, for a poster or another screen.
func (s *Service) PayQR(c *gin.Context) {
	if v, err := s.link(c); err != nil {
		s.showPage(c, v, "", err)
		return
	}
	code, err := qr.Encode(s.PublicURL+"/p/"+c.Param("token"), qr.M, qr.Auto)
	if err == nil {
		code, err = barcode.Scale(code, qrSize, qrSize)
	}
	var picture bytes.Buffer
	if err == nil {
		err = png.Encode(&picture, code)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	c.Header("Cache-Control", "private, max-age=3600")
	c.Data(http.StatusOK, "image/png", picture.Bytes())
}
