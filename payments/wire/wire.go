// Package wire is what the acquirers' adapters share in speaking HTTP: one careful request, and one idea of which text
// may be kept as evidence.
package wire

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"

	"github.com/dealpay/dealpay/payments"
)

// maxBody bounds an answer; what acquirers say of one payment takes a few kilobytes.
const maxBody = 64 << 10

// Answer is what came back, whatever its status.
type Answer struct {
	Status int
	HTML   bool // a page, so from something in between rather than from an API
	Body   []byte
}

// Send performs one request and never repeats or redirects it: that would carry it elsewhere, or move money twice. When
// there is no whole answer the error is lost, which says what an unclear end means for this call; ErrUnavailable when
// nothing was sent. Its text has no address in it.
func Send(client *http.Client, r *http.Request, lost error) (Answer, error) {
	if client == nil {
		client = http.DefaultClient
	}
	r.GetBody = nil // else the transport itself repeats a request that has an Idempotency-Key
	direct := *client
	direct.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, err := direct.Do(r)
	if err != nil {
		if dial := (*net.OpError)(nil); errors.As(err, &dial) && dial.Op == "dial" {
			lost = payments.ErrUnavailable
		}
		return Answer{}, fmt.Errorf("%w: no answer", lost)
	}
	defer func() { _ = res.Body.Close() }()
	media, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody+1))
	if err != nil || len(body) > maxBody {
		return Answer{}, fmt.Errorf("%w: the answer is cut or too long", lost)
	}
	return Answer{Status: res.StatusCode, HTML: media == "text/html", Body: body}, nil
}

// Plain says whether s can be an identifier, a code or a time: short, and without what an e-mail address, an
// international phone number, a masked card or a path need.
func Plain(s string) bool {
	if s == "" || len(s) > 100 || s[0] == '.' || s[0] == '+' {
		return false
	}
	for _, r := range s {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-.:+", r)) {
			return false
		}
	}
	return true
}
