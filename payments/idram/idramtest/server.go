// Package idramtest doubles Idram's merchant interface: it takes the customer's form, asks the merchant, takes the money
// and acts on what the merchant answers (Idram "Merchant interface description", 2025-10-16).
package idramtest

import (
	"cmp"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/dealpay/dealpay/payments/acquirertest"
	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/tenants/standintest"
)

// Host is the documented host; tests are said to use the same.
const Host = "banking.idram.am"

// Config of the double: what Idram's staff sets for a merchant account. Zero values mean what the comments say.
type Config struct {
	Account, Secret     string // "100000114", "test-secret-key"
	ResultURL           string // see Call
	SuccessURL, FailURL string // empty: a page of the double that says so
	HTTP                *http.Client
}

// Server is the double. It serves /Payment/, and the control API under /_control/.
type Server struct {
	Control *standintest.Control
	cfg     Config
	handler http.Handler
	books   *acquirertest.Books
	page    acquirertest.Page
	courier *acquirertest.Courier

	mu     sync.Mutex
	result string
	trans  int64    // the last transaction
	alerts []string // what Idram's support would be told
}

// New starts a double.
func New(cfg Config) *Server {
	cfg.Account, cfg.Secret = cmp.Or(cfg.Account, "100000114"), cmp.Or(cfg.Secret, "test-secret-key")
	cfg.SuccessURL, cfg.FailURL = cmp.Or(cfg.SuccessURL, "/Payment/Success"), cmp.Or(cfg.FailURL, "/Payment/Fail")
	if cfg.HTTP == nil {
		cfg.HTTP = &http.Client{Timeout: 10 * time.Second}
	}
	s := &Server{Control: standintest.New(), cfg: cfg, result: cfg.ResultURL, trans: 12345678900000}
	s.books = acquirertest.NewBooks(s.Control.Clock.Now)
	s.courier = acquirertest.NewCourier(cfg.HTTP, s.Control)
	desk := acquirertest.Desk{Books: s.books, RefOf: func(u *url.URL) string { return u.Query().Get("id") }, Ask: s.precheck, Announce: s.confirm}
	s.page = acquirertest.Page{Name: "Idram", Desk: desk, Back: s.back}
	s.Control.State = func() any {
		return map[string]any{"payments": s.Books(), "notices": s.courier.Deliveries(), "alerts": s.Alerts()}
	}
	s.Control.Reset = func() {
		s.mu.Lock()
		s.alerts = nil
		s.mu.Unlock()
		s.books.Reset()
		s.courier.Reset()
	}
	control := s.Control.Handler()
	desk.Routes(control)
	mux := http.NewServeMux()
	mux.Handle("/_control/", control)
	mux.Handle("/Payment/", s.Control.Wrap(s.routes()))
	s.handler = mux
	return s
}

// Hosts are the names this double answers for.
func (s *Server) Hosts() []string { return []string{Host} }

// Close ends the delivery of confirmations.
func (s *Server) Close() { s.courier.Close() }

// Books are the payments, as GET /_control/books shows them.
func (s *Server) Books() []acquirertest.Entry { return s.books.Entries() }

// Alerts are what Idram's support would be told, in order.
func (s *Server) Alerts() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.alerts...)
}

// Call sets RESULT_URL; Idram's staff does that for an account.
func (s *Server) Call(address string) {
	s.mu.Lock()
	s.result = address
	s.mu.Unlock()
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /Payment/GetPayment", s.open)
	mux.HandleFunc("GET /Payment/Page", func(w http.ResponseWriter, r *http.Request) { s.page.Show(w, r, r.URL.Query().Get("id")) })
	mux.HandleFunc("POST /Payment/Page", func(w http.ResponseWriter, r *http.Request) { s.page.Press(w, r, r.URL.Query().Get("id")) })
	mux.HandleFunc("GET /Payment/Success", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "SUCCESS_URL") })
	mux.HandleFunc("GET /Payment/Fail", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "FAIL_URL") })
	return mux
}

// languages are Idram's words, as the page has them.
var languages = map[string]string{"AM": "hy", "RU": "ru", "EN": "en"}

// open takes the customer's form and shows the page of a new transaction: one bill may have several.
func (s *Server) open(w http.ResponseWriter, r *http.Request) {
	s.Control.Limits.Count(true)
	asked, err := state.Parse(r.PostFormValue("EDP_AMOUNT"), "AMD")
	lang, known := languages[r.PostFormValue("EDP_LANGUAGE")]
	bill := r.PostFormValue("EDP_BILL_NO")
	if err != nil || !asked.Valid() || !known || bill == "" || r.PostFormValue("EDP_REC_ACCOUNT") != s.cfg.Account || r.URL.RawQuery != "" {
		http.Error(w, "The payment form is wrong.", http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	s.trans++
	ref := fmt.Sprintf("%014d", s.trans)
	s.mu.Unlock()
	s.books.Add(acquirertest.Payment{Ref: ref, Order: bill, Asked: asked, Description: r.PostFormValue("EDP_DESCRIPTION"), Language: lang})
	http.Redirect(w, r, "/Payment/Page?id="+ref, http.StatusSeeOther)
}

// back is one of the two addresses of the account, whatever the payment was.
func (s *Server) back(p acquirertest.Payment) string {
	if p.Taken() {
		return s.cfg.SuccessURL
	}
	return s.cfg.FailURL
}

func (s *Server) post(ctx context.Context, form url.Values) (*http.Request, error) {
	s.mu.Lock()
	result := s.result
	s.mu.Unlock()
	if result == "" {
		return nil, errors.New("the account has no RESULT_URL")
	}
	return acquirertest.PostForm(ctx, result, form)
}

var errNo = errors.New("the merchant did not answer OK to the precheck")

// precheck asks the merchant; only 200 with exactly OK is a yes.
func (s *Server) precheck(p acquirertest.Payment) error {
	r, err := s.post(context.Background(), url.Values{"EDP_PRECHECK": {"YES"}, "EDP_BILL_NO": {p.Order}, "EDP_REC_ACCOUNT": {s.cfg.Account},
		"EDP_AMOUNT": {p.Asked.Decimal()}})
	if err != nil {
		return err
	}
	res, err := s.cfg.HTTP.Do(r)
	if err != nil {
		return errNo
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil || res.StatusCode != http.StatusOK || string(body) != "OK" {
		return errNo
	}
	return nil
}

// confirm tells the merchant of money that was taken, and does with it what the merchant's answer says.
func (s *Server) confirm(p acquirertest.Payment, n int, delay time.Duration) {
	if p.Status != acquirertest.Captured {
		return
	}
	form := map[string]string{"EDP_BILL_NO": p.Order, "EDP_REC_ACCOUNT": s.cfg.Account, "EDP_PAYER_ACCOUNT": "201234567",
		"EDP_AMOUNT": p.Captured.Decimal(), "EDP_TRANS_ID": p.Ref, "EDP_TRANS_DATE": p.PaidAt.In(time.FixedZone("AMT", 4*60*60)).Format("02/01/2006")}
	notice := acquirertest.Notice{Name: "confirmation", Make: func(ctx context.Context, forged bool) (*http.Request, error) {
		secret := s.cfg.Secret
		if forged {
			secret = "not the secret"
		}
		values := url.Values{"EDP_CHECKSUM": {Sign(secret, form)}}
		for name, value := range form {
			values.Set(name, value)
		}
		return s.post(ctx, values)
	}, Replied: func(status int, body []byte) { s.settle(p.Ref, status, string(body)) }}
	s.courier.Send(notice, n, delay)
}

// settle acts on the answer to a confirmation: 200 and OK is final, another 2xx answer undoes the payment, and
// everything else leaves it and alerts the support, as silence does here (the description does not say).
func (s *Server) settle(ref string, status int, body string) {
	if status == http.StatusOK && body == "OK" {
		return
	}
	alert := ref + " kept"
	if status/100 == 2 {
		alert = ref + " cancelled"
		_, _ = s.books.Change(ref, func(p *acquirertest.Payment) error {
			p.Status, p.Refunded = acquirertest.Cancelled, p.Captured.Minor
			return nil
		})
	}
	s.mu.Lock()
	s.alerts = append(s.alerts, alert)
	s.mu.Unlock()
}

// Sign is the checksum of a confirmation.
func Sign(secret string, form map[string]string) string {
	sum := md5.Sum([]byte(form["EDP_REC_ACCOUNT"] + ":" + form["EDP_AMOUNT"] + ":" + secret + ":" + form["EDP_BILL_NO"] + ":" +
		form["EDP_PAYER_ACCOUNT"] + ":" + form["EDP_TRANS_ID"] + ":" + form["EDP_TRANS_DATE"]))
	return hex.EncodeToString(sum[:])
}
