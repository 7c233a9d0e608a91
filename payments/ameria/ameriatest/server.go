// Package ameriatest doubles Ameriabank's vPOS 3.1: a server with state that speaks as the test host was seen to, with
// its oddities (vendor document "vPOS 3.1 API description").
package ameriatest

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/dealpay/dealpay/payments/acquirertest"
	"github.com/dealpay/dealpay/tenants/standintest"
)

// Host is the documented test host; the hosted page is there too.
const Host = "servicestest.ameriabank.am"

// Config of the double. Zero values mean what the comments say.
type Config struct {
	ClientID, Username, Password string // "00000000-0000-0000-0000-000000000000", "test-user", "test-pass"
	OrderMin, OrderMax           int64  // the range given to the merchant; 2350301 to 2350400
	AnyAmount                    bool   // false: only 10 AMD, as on the test host
	MerchantID                   string // "00000000"
	NoRefunds, NoReversals       bool   // the merchant lacks the right: 513 and 514
}

// Server is the double. It serves /VPOS/, and the control API under /_control/.
type Server struct {
	Control *standintest.Control

	cfg     Config
	books   *acquirertest.Books
	page    acquirertest.Page
	handler http.Handler

	mu     sync.Mutex
	opaque map[string]string    // what came as Opaque, by PaymentID
	made   map[string]time.Time // when InitPayment came first, by PaymentID
}

// New starts a double.
func New(cfg Config) *Server {
	cfg.ClientID = cmp.Or(cfg.ClientID, "00000000-0000-0000-0000-000000000000")
	cfg.Username = cmp.Or(cfg.Username, "test-user")
	cfg.Password = cmp.Or(cfg.Password, "test-pass")
	cfg.MerchantID = cmp.Or(cfg.MerchantID, "00000000")
	cfg.OrderMin, cfg.OrderMax = cmp.Or(cfg.OrderMin, 2350301), cmp.Or(cfg.OrderMax, 2350400)
	s := &Server{Control: standintest.New(), cfg: cfg, opaque: map[string]string{}, made: map[string]time.Time{}}
	s.books = acquirertest.NewBooks(s.Control.Clock.Now)
	desk := acquirertest.Desk{Books: s.books, RefOf: func(u *url.URL) string { return u.Query().Get("id") }}
	s.page = acquirertest.Page{Name: "Ameriabank", Desk: desk, Back: s.back}
	s.Control.State = func() any { return map[string]any{"payments": s.Books()} }
	s.Control.Reset = func() {
		s.mu.Lock()
		s.opaque, s.made = map[string]string{}, map[string]time.Time{}
		s.mu.Unlock()
		s.books.Reset()
	}
	control := s.Control.Handler()
	desk.Routes(control)
	mux := http.NewServeMux()
	mux.Handle("/_control/", control)
	mux.Handle("/VPOS/", s.Control.Wrap(s.routes()))
	s.handler = mux
	return s
}

// Hosts are the names this double answers for.
func (s *Server) Hosts() []string { return []string{Host} }

// Close is there because every double has it.
func (s *Server) Close() {}

// Books are the payments, as GET /_control/books shows them.
func (s *Server) Books() []acquirertest.Entry { return s.books.Entries() }

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /VPOS/api/VPOS/InitPayment", s.operation(s.init))
	mux.HandleFunc("POST /VPOS/api/VPOS/GetPaymentId", s.operation(s.paymentID))
	mux.HandleFunc("POST /VPOS/api/VPOS/GetPaymentDetails", s.operation(s.details))
	mux.HandleFunc("POST /VPOS/api/VPOS/RefundPayment", s.operation(s.refund))
	mux.HandleFunc("POST /VPOS/api/VPOS/CancelPayment", s.operation(s.cancel))
	mux.HandleFunc("GET /VPOS/Payments/Pay", func(w http.ResponseWriter, r *http.Request) {
		ref := r.URL.Query().Get("id")
		_, _ = s.books.Change(ref, func(p *acquirertest.Payment) error {
			p.Language = strings.Replace(r.URL.Query().Get("lang"), "am", "hy", 1)
			return nil
		})
		s.page.Show(w, r, ref)
	})
	mux.HandleFunc("POST /VPOS/Payments/Pay", func(w http.ResponseWriter, r *http.Request) { s.page.Press(w, r, r.URL.Query().Get("id")) })
	return mux
}

// back is the return address with what the bank adds, in its own spelling.
func (s *Server) back(p acquirertest.Payment) string {
	u, err := url.Parse(p.ReturnURL)
	if err != nil {
		return p.ReturnURL
	}
	s.mu.Lock()
	opaque := s.opaque[p.Ref]
	s.mu.Unlock()
	code, text := "0999", "Internal server error"
	if p.Taken() || p.Status == acquirertest.Authorized {
		code, text = "00", "Operation Approved "
	}
	q := u.Query()
	for key, value := range map[string]string{"orderID": p.Order, "resposneCode": code, "paymentID": strings.ToLower(p.Ref), "opaque": opaque, "description": text} {
		q.Set(key, value)
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// longest is how long after InitPayment a payment can be cancelled.
const longest = 72 * time.Hour
