// Package arcatest doubles the gateways of ArCa iPay, EPG and Inecobank: a server with state that speaks as the manual
// says (ArCa "iPay Merchant API Manual" 1.55.1.0) and refuses what a gateway would. Callbacks are those of the product
// family (BPC/RBS "Callback notifications") and off unless configured.
package arcatest

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dealpay/dealpay/payments/acquirertest"
	"github.com/dealpay/dealpay/tenants/standintest"
)

// Style is how a gateway writes errorCode.
type Style string

// The styles that were documented or seen; with Absent a success has none and an error has text.
const (
	Number Style = "number"
	Text   Style = "text"
	Absent Style = "absent"
)

// Config of the double. Zero values mean what the comments say.
type Config struct {
	Login, Password string // "shop_api", "test-pass"
	TerminalID      string // "00000001"
	Codes           Style  // Number
	Bare            bool   // answers of version 01: no amounts beside the order's own, no terminal
	NoExtended      bool   // getOrderStatusExtended is switched off for the merchant
	NoReversals     bool   // the merchant may not reverse
	Tries           int    // cards that a customer may try; 3
	CallbackURL     string // empty: no callbacks
	CallbackKey     string // empty: callbacks have no checksum
	CallbackByGet   bool   // instead of POST
	PublicSuffix    string // after the host in page URLs, such as ".localhost:8090"; empty: the host that was asked
	HTTP            *http.Client
}

// Server is the double. It serves /payment/, and the control API under /_control/.
type Server struct {
	Control *standintest.Control
	handler http.Handler
	cfg     Config
	page    acquirertest.Page
	books   *acquirertest.Books
	courier *acquirertest.Courier

	mu       sync.Mutex
	callback string
	declines map[string]int  // by order id
	reversed map[string]bool // a reversal was tried, whatever came of it
}

// New starts a double.
func New(cfg Config) *Server {
	cfg.Login, cfg.Password = cmp.Or(cfg.Login, "shop_api"), cmp.Or(cfg.Password, "test-pass")
	cfg.TerminalID, cfg.Codes, cfg.Tries = cmp.Or(cfg.TerminalID, "00000001"), cmp.Or(cfg.Codes, Number), cmp.Or(cfg.Tries, 3)
	s := &Server{Control: standintest.New(), cfg: cfg, callback: cfg.CallbackURL}
	s.clear()
	s.books = acquirertest.NewBooks(s.Control.Clock.Now)
	s.courier = acquirertest.NewCourierOf(cfg.HTTP, s.Control, acquirertest.Habit{ // the callback documentation: anything but 200, three times more
		Waits: []time.Duration{30 * time.Second, 30 * time.Second, 30 * time.Second}, Taken: func(status int) bool { return status == http.StatusOK }})
	desk := acquirertest.Desk{Books: s.books, RefOf: func(u *url.URL) string { return u.Query().Get("mdOrder") }, Announce: s.announce}
	s.page = acquirertest.Page{Name: "ArCa", Desk: desk, Back: back}
	s.Control.State = func() any { return map[string]any{"payments": s.Books(), "notices": s.courier.Deliveries()} }
	s.Control.Reset = func() {
		s.books.Reset()
		s.courier.Reset()
		s.clear()
	}
	control := s.Control.Handler()
	desk.Routes(control)
	mux := http.NewServeMux()
	mux.Handle("/_control/", control)
	mux.Handle("/payment/", s.Control.Wrap(s.routes()))
	s.handler = mux
	return s
}

func (s *Server) clear() {
	s.mu.Lock()
	s.declines, s.reversed = map[string]int{}, map[string]bool{}
	s.mu.Unlock()
}

// Hosts are the names this double answers for.
func (s *Server) Hosts() []string {
	return []string{"ipaytest.arca.am", "testepg.arca.am", "pg.inecoecom.am"}
}

// Close ends the delivery of callbacks.
func (s *Server) Close() { s.courier.Close() }

// Books are the payments, as GET /_control/books shows them.
func (s *Server) Books() []acquirertest.Entry { return s.books.Entries() }

// Call sets where callbacks go from now on; the bank's staff does that at the real ones.
func (s *Server) Call(address string) {
	s.mu.Lock()
	s.callback = address
	s.mu.Unlock()
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	calls := map[string]http.HandlerFunc{"register": s.register, "getOrderStatusExtended": s.about(s.extended), "getOrderStatus": s.short,
		"reverse": s.about(s.reverse), "refund": s.about(s.refund)}
	if s.cfg.NoExtended {
		calls["getOrderStatusExtended"] = s.denied
	}
	if s.cfg.NoReversals {
		calls["reverse"] = s.denied
	}
	for name, do := range calls {
		mux.HandleFunc("POST /payment/rest/"+name+".do", s.guard(do))
	}
	mux.HandleFunc("GET /payment/merchants/shop/{page}", func(w http.ResponseWriter, r *http.Request) {
		s.page.Show(w, r, r.URL.Query().Get("mdOrder"))
	})
	mux.HandleFunc("POST /payment/merchants/shop/{page}", func(w http.ResponseWriter, r *http.Request) {
		s.page.Press(w, r, r.URL.Query().Get("mdOrder"))
	})
	return mux
}

// origin is where the pages of the gateway that was asked are.
func (s *Server) origin(r *http.Request) string {
	name, _, _ := strings.Cut(r.Host, ":")
	switch {
	case s.cfg.PublicSuffix != "":
		return "http://" + strings.TrimSuffix(name, ".localhost") + s.cfg.PublicSuffix
	case r.TLS != nil:
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// back is the return address with the gateway's order id.
func back(p acquirertest.Payment) string {
	u, err := url.Parse(p.ReturnURL)
	if err != nil {
		return p.ReturnURL
	}
	q := u.Query()
	q.Set("orderId", p.Ref)
	u.RawQuery = q.Encode()
	return u.String()
}

// operations are a callback's words for what a payment has become, and whether that is a success.
var operations = map[acquirertest.Status][2]string{
	acquirertest.Authorized: {"approved", "1"}, acquirertest.Captured: {"deposited", "1"}, acquirertest.Failed: {"deposited", "0"},
	acquirertest.Partly: {"refunded", "1"}, acquirertest.Refunded: {"refunded", "1"}, acquirertest.Cancelled: {"reversed", "1"},
	acquirertest.Expired: {"declinedByTimeout", "1"},
}

// announce counts the cards that were declined, and sends the callback.
func (s *Server) announce(p acquirertest.Payment, n int, delay time.Duration) {
	s.mu.Lock()
	hook := s.callback
	if p.Status == acquirertest.Failed {
		s.declines[p.Ref]++
	}
	exhausted := s.declines[p.Ref] >= s.cfg.Tries
	s.mu.Unlock()
	if p.Status == acquirertest.Failed && exhausted {
		_, _ = s.books.Change(p.Ref, func(p *acquirertest.Payment) error {
			p.Deadline = s.Control.Clock.Now().Add(-time.Second)
			return nil
		})
	}
	word := operations[p.Status]
	if hook == "" || word[0] == "" {
		return
	}
	fields := map[string]string{"mdOrder": p.Ref, "orderNumber": p.Order, "operation": word[0], "status": word[1], "amount": fmt.Sprint(p.Asked.Minor)}
	s.courier.Send(acquirertest.Notice{Name: "callback " + word[0], Make: func(ctx context.Context, forged bool) (*http.Request, error) {
		return s.call(ctx, hook, maps.Clone(fields), forged)
	}}, n, delay)
}

func (s *Server) call(ctx context.Context, hook string, fields map[string]string, forged bool) (*http.Request, error) {
	key := s.cfg.CallbackKey
	if forged {
		key = "not the key"
	}
	if s.cfg.CallbackKey != "" {
		fields["checksum"] = Sign(key, fields)
	}
	form := url.Values{}
	for name, value := range fields {
		form.Set(name, value)
	}
	if s.cfg.CallbackByGet {
		return http.NewRequestWithContext(ctx, http.MethodGet, hook+"?"+form.Encode(), nil)
	}
	return acquirertest.PostForm(ctx, hook, form)
}

// Sign is the checksum of a callback.
func Sign(key string, fields map[string]string) string {
	mac := hmac.New(sha256.New, []byte(key))
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if name != "checksum" && name != "sign_alias" {
			mac.Write([]byte(name + ";" + fields[name] + ";"))
		}
	}
	return strings.ToUpper(hex.EncodeToString(mac.Sum(nil)))
}
