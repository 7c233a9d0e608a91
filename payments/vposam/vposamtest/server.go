// Package vposamtest doubles VPOS.am's Public Merchant API: a server with state that refuses what the real one would.
// What is not public (see package vposam) follows that package's defaults.
package vposamtest

import (
	"cmp"
	"crypto/sha256"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/dealpay/dealpay/payments/acquirertest"
	"github.com/dealpay/dealpay/tenants/standintest"
)

// Host is the documented host of the API; the hosted page of the double is there too.
const Host = "api.vpos.am"

// Config of the double. Zero values mean what the comments say.
type Config struct {
	Token         string           // the merchant's; "vpos-test-token"
	WebhookSecret string           // "vpos-test-secret"
	MerchantID    string           // named in every answer; "merchant-1"
	PublicSuffix  string           // after the host in checkout URLs, such as ".localhost:8090"; empty: the host that was asked
	WebhookURL    string           // registered at onboarding; empty: each session's metadata.webhookUrl
	SessionTTL    time.Duration    // 20 minutes, on the double's clock
	PerSecond     int              // requests let through; 100
	HTTP          *http.Client     // delivers notices
	Dates         func() time.Time // of notices and their signatures; time.Now, since the receiver's clock is real
}

// Server is the double. It serves the API, the hosted page under /pay/ and the control API under /_control/.
type Server struct {
	Control *standintest.Control

	cfg     Config
	books   *acquirertest.Books
	courier *acquirertest.Courier
	page    acquirertest.Page
	handler http.Handler

	mu      sync.Mutex
	keys    map[string]reply // by Idempotency-Key and path
	hook    string           // of the newest session, for orphans
	revoked bool
	second  int64
	count   int
}

// reply is what an Idempotency-Key was answered with.
type reply struct {
	body [sha256.Size]byte
	ref  string
}

// New starts a double.
func New(cfg Config) *Server {
	cfg.Token = cmp.Or(cfg.Token, "vpos-test-token")
	cfg.WebhookSecret = cmp.Or(cfg.WebhookSecret, "vpos-test-secret")
	cfg.MerchantID = cmp.Or(cfg.MerchantID, "merchant-1")
	cfg.SessionTTL = cmp.Or(cfg.SessionTTL, 20*time.Minute)
	cfg.PerSecond = cmp.Or(cfg.PerSecond, 100)
	if cfg.Dates == nil {
		cfg.Dates = time.Now
	}
	s := &Server{Control: standintest.New(), cfg: cfg, keys: map[string]reply{}}
	s.books = acquirertest.NewBooks(s.Control.Clock.Now)
	s.courier = acquirertest.NewCourier(cfg.HTTP, s.Control)
	desk := acquirertest.Desk{Books: s.books, RefOf: acquirertest.LastSegment, Announce: s.announce, NewOrphan: s.orphan}
	s.page = acquirertest.Page{Name: "VPOS.am", Desk: desk}
	s.Control.Reset, s.Control.State, s.Control.OnFault = s.reset, s.state, s.onFault
	control := s.Control.Handler()
	desk.Routes(control)
	mux := http.NewServeMux()
	mux.Handle("/_control/", control)
	mux.Handle("/", s.Control.Wrap(s.routes()))
	s.handler = mux
	return s
}

// Hosts are the names this double answers for.
func (s *Server) Hosts() []string { return []string{Host} }

// Close ends the delivery of notices.
func (s *Server) Close() { s.courier.Close() }

// Books are the payments, as GET /_control/books shows them.
func (s *Server) Books() []acquirertest.Entry { return s.books.Entries() }

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

func (s *Server) reset() {
	s.mu.Lock()
	s.keys, s.hook, s.revoked = map[string]reply{}, "", false
	s.mu.Unlock()
	s.books.Reset()
	s.courier.Reset()
}

func (s *Server) state() any {
	return map[string]any{"payments": s.Books(), "notices": s.courier.Deliveries()}
}

// onFault lets the token die; only a reset brings it back.
func (s *Server) onFault(f standintest.Fault) {
	if f.Kind == standintest.Revoke {
		s.mu.Lock()
		s.revoked = true
		s.mu.Unlock()
	}
}

func (s *Server) routes() http.Handler {
	api := http.NewServeMux()
	api.HandleFunc("GET /v1/capabilities", s.capabilities)
	api.HandleFunc("POST /v1/payment-sessions", s.create)
	api.HandleFunc("GET /v1/payment-sessions/{id}", s.show)
	api.HandleFunc("POST /v1/payment-sessions/{id}/refunds", s.refund)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/health", func(w http.ResponseWriter, _ *http.Request) {
		standintest.Answer(w, http.StatusOK, map[string]any{"ready": true})
	})
	mux.HandleFunc("GET /pay/{id}", func(w http.ResponseWriter, r *http.Request) { s.page.Show(w, r, r.PathValue("id")) })
	mux.HandleFunc("POST /pay/{id}", func(w http.ResponseWriter, r *http.Request) { s.page.Press(w, r, r.PathValue("id")) })
	mux.Handle("/v1/", s.guard(api))
	return mux
}

// guard refuses who is too fast, a browser, or without a valid token.
func (s *Server) guard(api http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		s.mu.Lock()
		if now := time.Now().Unix(); now != s.second {
			s.second, s.count = now, 0
		}
		s.count++
		fast, known := s.count > s.cfg.PerSecond, bearer && token == s.cfg.Token && !s.revoked
		s.mu.Unlock()
		s.Control.Limits.Count(!fast)
		switch {
		case fast:
			w.Header().Set("Retry-After", "1")
			refuse(w, http.StatusTooManyRequests, "rate_limited")
		case r.Header.Get("Origin") != "":
			refuse(w, http.StatusForbidden, "origin_not_trusted")
		case !known:
			refuse(w, http.StatusUnauthorized, "invalid_token")
		default:
			api.ServeHTTP(w, r)
		}
	})
}

func refuse(w http.ResponseWriter, status int, code string) {
	standintest.Answer(w, status, map[string]any{"error": map[string]string{"code": code, "message": "See the documentation."}})
}
