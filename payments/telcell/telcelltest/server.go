// Package telcelltest doubles the Telcell Wallet shop gateway: a server with state that checks every checksum. What is
// not public (see package telcell) is answered with HTTP 403, 404 or 409 and a word.
package telcelltest

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/dealpay/dealpay/payments/acquirertest"
	"github.com/dealpay/dealpay/tenants/standintest"
)

// Host is the documented host of the gateway; the page on which invoices are paid is there too.
const Host = "telcellmoney.am"

// Config of the double. Zero values mean what the comments say.
type Config struct {
	Issuer, ShopKey string // "shop@example.am", "test-shop-key"
	ResultURL       string // where callbacks go; SetResult changes it
	RedirectURL     string // where the browser goes after a form's invoice; "http://localhost/"
	PublicSuffix    string // after the host in the form's redirect, such as ".localhost:8090"; empty: the host that was asked
	GetCallbacks    bool   // callbacks are GET requests; else POSTed forms
	PlainIssuerID   bool   // callbacks bring issuer_id decoded
	CallbackBuyer   bool   // callbacks bring buyer, in the checksum too
	PartialRefunds  bool   // refund_bill is there, and check_bill has a line refunded_sum
	HTTP            *http.Client
}

// Server is the double. It serves /invoices, /proto_test2/invoices, /payments/invoice/ and the control API under
// /_control/, with one route more than the other acquirers': partially_paid {"ref"} lets the customer pay a part.
type Server struct {
	http.Handler // all of it
	Control      *standintest.Control

	cfg     Config
	courier *acquirertest.Courier
	books   *acquirertest.Books
	page    acquirertest.Page

	mu     sync.Mutex
	bills  map[string]*bill // by invoice
	last   int64
	result string
	dead   bool // the key was revoked
}

// bill is what the gateway keeps of an invoice beside the books.
type bill struct {
	buyer, description, issued string
	part                       bool
}

// New starts a double.
func New(cfg Config) *Server {
	cfg.Issuer = cmp.Or(cfg.Issuer, "shop@example.am")
	cfg.ShopKey = cmp.Or(cfg.ShopKey, "test-shop-key")
	cfg.RedirectURL = cmp.Or(cfg.RedirectURL, "http://localhost/")
	s := &Server{Control: standintest.New(), cfg: cfg, result: cfg.ResultURL}
	s.books = acquirertest.NewBooks(s.Control.Clock.Now)
	s.courier = acquirertest.NewCourier(cfg.HTTP, s.Control)
	desk := acquirertest.Desk{Books: s.books, RefOf: func(u *url.URL) string { return u.Query().Get("invoice") },
		Announce: s.announce, NewOrphan: s.orphan}
	s.page = acquirertest.Page{Name: "Telcell Wallet", Desk: desk}
	s.Control.State = func() any { return map[string]any{"payments": s.Books(), "notices": s.courier.Deliveries()} }
	s.Control.Label = operation
	s.Control.Reset = s.reset
	s.reset()
	mux := s.Control.Handler()
	mux.HandleFunc("POST /_control/partially_paid", s.partly)
	mux.Handle("/", s.Control.Wrap(s.routes()))
	desk.Routes(mux)
	s.Handler = mux
	return s
}

// Hosts are the names this double answers for.
func (s *Server) Hosts() []string { return []string{Host} }

// SetResult registers where callbacks go from now on, as Telcell's staff does.
func (s *Server) SetResult(url string) {
	s.mu.Lock()
	s.result = url
	s.mu.Unlock()
}

// Close ends the delivery of callbacks.
func (s *Server) Close() { s.courier.Close() }

// Books are the payments, as GET /_control/books shows them.
func (s *Server) Books() []acquirertest.Entry { return s.books.Entries() }

func (s *Server) reset() {
	s.courier.Reset()
	s.mu.Lock()
	s.bills, s.last, s.dead = map[string]*bill{}, 4815162341, false
	s.books.Reset()
	s.mu.Unlock()
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	for _, path := range []string{"/invoices", "/proto_test2/invoices"} {
		mux.HandleFunc("POST "+path, s.serve)
	}
	mux.HandleFunc("GET /payments/invoice/{$}", func(w http.ResponseWriter, r *http.Request) {
		ref := r.URL.Query().Get("invoice")
		if back := r.URL.Query().Get("return_url"); back != "" {
			_, _ = s.books.Change(ref, func(p *acquirertest.Payment) error {
				p.ReturnURL = back
				return nil
			})
		}
		s.page.Show(w, r, ref)
	})
	mux.HandleFunc("POST /payments/invoice/{$}", func(w http.ResponseWriter, r *http.Request) {
		s.page.Press(w, r, r.URL.Query().Get("invoice"))
	})
	return mux
}

// operation is what a request asks for, by the field that names the shop.
func operation(r *http.Request, body []byte) string {
	form, _ := url.ParseQuery(string(body))
	for name := range form {
		if what, ok := strings.CutSuffix(name, ":issuer"); ok {
			return what
		}
	}
	return form.Get("action")
}
