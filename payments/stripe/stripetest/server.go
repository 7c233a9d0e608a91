// Package stripetest doubles the part of Stripe that Checkout needs: sessions, payments, refunds, disputes and signed
// events. It is a server with state that refuses what the real one would (API reference; "Supported currencies").
package stripetest

import (
	"cmp"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/dealpay/dealpay/payments/acquirertest"
	"github.com/dealpay/dealpay/tenants/standintest"
)

// Host and PageHost are the documented hosts of the API and of the hosted page.
const (
	Host     = "api.stripe.com"
	PageHost = "checkout.stripe.com"
)

// Config of the double. Zero values mean what the comments say.
type Config struct {
	SecretKey        string // "sk_test_demo"
	WebhookSecret    string // "whsec_test_demo"
	OldWebhookSecret string // while it is rotated, events are signed with this too, and first; empty: no rotation
	WebhookURL       string // where events go; SetWebhook changes it
	PublicSuffix     string // after the host in checkout URLs, such as ".localhost:8090"; empty: the host that was asked
	PendingRefunds   bool   // refunds stay pending until POST /_control/refund_status
	PerSecond        int    // requests let through; 100, as for live keys
	HTTP             *http.Client
	Dates            func() time.Time // of events and their signatures; time.Now, since the receiver's clock is real
}

// Server is the double. It serves the API, the hosted page under /c/pay/ and the control API under /_control/, with two
// routes more than the other acquirers': delayed {"ref", "status": processing, succeeded or failed} moves a payment by
// a method that takes days, refund_status {"ref", "status"} moves the last refund.
type Server struct {
	http.Handler // all of it
	Control      *standintest.Control

	cfg     Config
	page    acquirertest.Page
	books   *acquirertest.Books
	courier *acquirertest.Courier

	mu      sync.Mutex
	more    map[string]*details // by session
	replies map[string]reply    // by Idempotency-Key
	hook    string
	revoked bool
	second  int64
	count   int
}

// details are what Stripe keeps of a session beside the books.
type details struct {
	intent, charge, attempt string
	delayed                 string // processing or failed: the session is complete, and not paid
	completed               bool   // its event was sent
	refunds                 []refund
}

type refund struct {
	id, status string
	minor      int64
	metadata   object
}

// New starts a double.
func New(cfg Config) *Server {
	cfg.SecretKey = cmp.Or(cfg.SecretKey, "sk_test_demo")
	cfg.WebhookSecret = cmp.Or(cfg.WebhookSecret, "whsec_test_demo")
	cfg.PerSecond = cmp.Or(cfg.PerSecond, 100)
	if cfg.Dates == nil {
		cfg.Dates = time.Now
	}
	s := &Server{Control: standintest.New(), cfg: cfg, hook: cfg.WebhookURL}
	s.books = acquirertest.NewBooks(s.Control.Clock.Now)
	s.courier = acquirertest.NewCourier(cfg.HTTP, s.Control)
	desk := acquirertest.Desk{Books: s.books, RefOf: acquirertest.LastSegment, Announce: s.announce, NewOrphan: s.orphan}
	s.page = acquirertest.Page{Name: "Stripe", Desk: desk}
	s.Control.Reset = s.reset
	s.Control.State = func() any { return map[string]any{"payments": s.Books(), "notices": s.courier.Deliveries()} }
	s.reset()
	all := s.Control.Handler()
	desk.Routes(all)
	all.HandleFunc("POST /_control/delayed", s.moved(s.delay))
	all.HandleFunc("POST /_control/refund_status", s.moved(s.settle))
	all.Handle("/", s.Control.Wrap(s.routes()))
	s.Handler = all
	return s
}

// Hosts are the names this double answers for.
func (s *Server) Hosts() []string { return []string{Host, PageHost} }

// SetWebhook registers where events go from now on, as the merchant does in Stripe's dashboard.
func (s *Server) SetWebhook(url string) {
	s.mu.Lock()
	s.hook = url
	s.mu.Unlock()
}

// Close ends the delivery of events.
func (s *Server) Close() { s.courier.Close() }

// Books are the payments, as GET /_control/books shows them.
func (s *Server) Books() []acquirertest.Entry { return s.books.Entries() }

func (s *Server) reset() {
	s.books.Reset()
	s.courier.Reset()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.more, s.replies, s.revoked = map[string]*details{}, map[string]reply{}, false
}

func (s *Server) routes() http.Handler {
	api := http.NewServeMux()
	api.HandleFunc("POST /v1/checkout/sessions", s.create)
	api.HandleFunc("GET /v1/checkout/sessions", s.sessions)
	api.HandleFunc("GET /v1/checkout/sessions/{id}", s.show)
	api.HandleFunc("POST /v1/checkout/sessions/{id}/expire", s.expire)
	api.HandleFunc("POST /v1/refunds", s.refund)
	api.HandleFunc("GET /v1/refunds", s.refunds)
	api.HandleFunc("GET /v1/disputes", s.disputes)
	api.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fail(w, http.StatusNotFound, "invalid_request_error", "url_invalid")
	})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /c/pay/{id}", func(w http.ResponseWriter, r *http.Request) { s.page.Show(w, r, r.PathValue("id")) })
	mux.HandleFunc("POST /c/pay/{id}", func(w http.ResponseWriter, r *http.Request) { s.page.Press(w, r, r.PathValue("id")) })
	mux.HandleFunc("/v1/", func(w http.ResponseWriter, r *http.Request) {
		if s.admit(w, r) {
			api.ServeHTTP(w, r)
		}
	})
	return mux
}

// admit answers who is too fast or has no valid key, and reads the parameters.
func (s *Server) admit(w http.ResponseWriter, r *http.Request) bool {
	s.mu.Lock()
	if now := time.Now().Unix(); now > s.second {
		s.second, s.count = now, 0
	}
	s.count++
	slow := s.count <= s.cfg.PerSecond
	_, dies := s.Control.Take(standintest.Revoke, r.Method+" "+r.URL.Path)
	s.revoked = s.revoked || dies
	known := r.Header.Get("Authorization") == "Bearer "+s.cfg.SecretKey && !s.revoked
	s.mu.Unlock()
	s.Control.Limits.Count(slow)
	form := r.Method == http.MethodGet || r.ContentLength == 0 || strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded")
	if !slow {
		fail(w, http.StatusTooManyRequests, "invalid_request_error", "rate_limit")
	} else if !known {
		fail(w, http.StatusUnauthorized, "invalid_request_error", "")
	} else if !form || r.ParseForm() != nil {
		fail(w, http.StatusBadRequest, "invalid_request_error", "")
	}
	return slow && known && r.Form != nil
}

// fail answers as the API does (API reference, "Errors").
func fail(w http.ResponseWriter, status int, kind, code string) {
	body := map[string]string{"type": kind, "message": "See the documentation."}
	if code != "" {
		body["code"] = code
	}
	standintest.Answer(w, status, map[string]any{"error": body})
}
