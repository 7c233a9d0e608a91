package arcatest

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/acquirertest"
	"github.com/dealpay/dealpay/tenants/standintest"
)

var currencies = map[string]string{"051": "AMD", "643": "RUB", "840": "USD", "978": "EUR"}

// guard refuses a wrong login, also one that is not in the body.
func (s *Server) guard(do http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.Control.Limits.Count(true)
		form := r.Header.Get("Content-Type") == "application/x-www-form-urlencoded" && r.URL.RawQuery == ""
		if !form || r.PostFormValue("userName") != s.cfg.Login || r.PostFormValue("password") != s.cfg.Password {
			s.denied(w, r)
			return
		}
		do(w, r)
	}
}

// fail answers an error.
func (s *Server) fail(w http.ResponseWriter, code int, text string) {
	var written any = strconv.Itoa(code)
	if s.cfg.Codes == Number {
		written = code
	}
	standintest.Answer(w, http.StatusOK, map[string]any{"errorCode": written, "errorMessage": text})
}

// done answers a success.
func (s *Server) done(w http.ResponseWriter, fields map[string]any) {
	switch s.cfg.Codes {
	case Number:
		fields["errorCode"] = 0
	case Text:
		fields["errorCode"], fields["errorMessage"] = "0", "Success"
	}
	standintest.Answer(w, http.StatusOK, fields)
}

// register opens an order. A number that was used is refused, whatever became of its order.
func (s *Server) register(w http.ResponseWriter, r *http.Request) {
	number, amount := r.PostFormValue("orderNumber"), r.PostFormValue("amount")
	currency := currencies[cmp.Or(r.PostFormValue("currency"), "643")]
	minor, err := strconv.ParseInt(amount, 10, 64)
	asked := payments.Money{Minor: minor, Currency: currency}
	life, err2 := strconv.Atoi(cmp.Or(r.PostFormValue("sessionTimeoutSecs"), "1200"))
	text, lang := r.PostFormValue("description"), r.PostFormValue("language")
	page, err3 := url.Parse(r.PostFormValue("returnUrl"))
	switch {
	case number == "" || amount == "" || err3 != nil || page.Host == "":
		s.fail(w, 4, "A mandatory parameter is missing")
		return
	case currency == "":
		s.fail(w, 3, "Unknown currency")
		return
	case len(number) > 32, err != nil, !asked.Valid(), err2 != nil, life < 1, life > 1200, len(lang) > 2,
		len(text) > 1024, strings.ContainsAny(text, "%+\r\n"), len(page.String()) > 512:
		s.fail(w, 5, "A parameter has a wrong value")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p, err := s.books.Get(number); err == nil && p.Order == number {
		s.fail(w, 1, "Order with this number is already registered in the system")
		return
	}
	p := s.books.Add(acquirertest.Payment{Ref: id(), Order: number, Asked: asked, Description: text, Language: lang,
		ReturnURL: page.String(), Deadline: s.Control.Clock.Now().Add(time.Duration(life) * time.Second)})
	s.done(w, map[string]any{"orderId": p.Ref, "formUrl": s.origin(r) + "/payment/merchants/shop/payment_" + cmp.Or(lang, "en") + ".html?mdOrder=" + p.Ref})
}

func id() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func (s *Server) denied(w http.ResponseWriter, _ *http.Request) { s.fail(w, 5, "Access denied") }

// about finds the order that a call names; the id wins over the number.
func (s *Server) about(do func(http.ResponseWriter, *http.Request, acquirertest.Payment)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ref, number := r.PostFormValue("orderId"), r.PostFormValue("orderNumber")
		p, err := s.books.Get(cmp.Or(ref, number))
		if err != nil || (ref != "" && !strings.EqualFold(p.Ref, ref)) {
			s.fail(w, 6, "Unregistered OrderId")
			return
		}
		do(w, r, p)
	}
}

// orderStatus is the gateway's number and payment state for a status in the books. A declined card leaves the order
// open until the tries or the time run out.
var orderStatus = map[acquirertest.Status]struct {
	number int
	state  string
}{
	acquirertest.Created: {0, "CREATED"}, acquirertest.Pending: {0, "CREATED"}, acquirertest.Failed: {0, "CREATED"},
	acquirertest.Authorized: {1, "APPROVED"}, acquirertest.Captured: {2, "DEPOSITED"}, acquirertest.Cancelled: {3, "REVERSED"},
	acquirertest.Partly: {4, "REFUNDED"}, acquirertest.Refunded: {4, "REFUNDED"}, acquirertest.Expired: {6, "DECLINED"},
}

// action is the code of the last card, or why there was none.
func (s *Server) action(p acquirertest.Payment) int {
	s.mu.Lock()
	exhausted := s.declines[p.Ref] >= s.cfg.Tries
	s.mu.Unlock()
	switch {
	case p.Status == acquirertest.Created || p.Status == acquirertest.Pending:
		return -100
	case p.Status == acquirertest.Failed:
		return 116
	case p.Status == acquirertest.Expired && exhausted:
		return -2013
	case p.Status == acquirertest.Expired:
		return -2007
	}
	return 0
}

func (s *Server) extended(w http.ResponseWriter, _ *http.Request, p acquirertest.Payment) {
	status := orderStatus[p.Status]
	out := map[string]any{"orderNumber": p.Order, "orderStatus": status.number, "actionCode": s.action(p), "actionCodeDescription": "",
		"amount": p.Asked.Minor, "currency": currencyOf(p), "date": s.Control.Clock.Now().UnixMilli(), "orderDescription": p.Description,
		"ip": "192.0.2.10", "merchantOrderParams": []any{}, "attributes": []any{map[string]string{"name": "mdOrder", "value": p.Ref}},
		"cardAuthInfo": map[string]string{"expiration": "203001", "cardholderName": "TEST CARD", "approvalCode": "123456", "pan": "411111**1111"}}
	if !p.PaidAt.IsZero() {
		out["date"] = p.PaidAt.UnixMilli()
	}
	if s.cfg.Bare {
		s.done(w, out)
		return
	}
	left := p.Captured.Minor - p.Refunded
	back := p.Refunded
	switch p.Status {
	case acquirertest.Authorized:
		left = 0
	case acquirertest.Cancelled: // a reversal is not a refund
		left, back = 0, 0
	}
	out["paymentAmountInfo"] = map[string]any{"paymentState": status.state, "approvedAmount": p.Captured.Minor, "depositedAmount": left, "refundedAmount": back}
	out["terminalId"], out["authRefNum"] = cmp.Or(p.Merchant, s.cfg.TerminalID), "001017626432"
	out["bankInfo"] = map[string]string{"bankCountryCode": "AM", "bankCountryName": "Armenia"}
	if !p.PaidAt.IsZero() {
		out["authDateTime"] = p.PaidAt.UnixMilli()
	}
	s.done(w, out)
}

// currencyOf is the number of what was taken, or asked as long as nothing was.
func currencyOf(p acquirertest.Payment) string {
	for number, code := range currencies {
		if code == cmp.Or(p.Captured.Currency, p.Asked.Currency) {
			return number
		}
	}
	return ""
}

// short is the older status call, which takes only an id and spells its keys in another way.
func (s *Server) short(w http.ResponseWriter, r *http.Request) {
	if r.PostFormValue("orderId") == "" {
		s.fail(w, 5, "[orderId] is empty")
		return
	}
	s.about(s.brief)(w, r)
}

func (s *Server) brief(w http.ResponseWriter, _ *http.Request, p acquirertest.Payment) {
	out := map[string]any{"OrderStatus": orderStatus[p.Status].number, "ErrorCode": "0", "ErrorMessage": "Success", "OrderNumber": p.Order,
		"Amount": p.Asked.Minor, "currency": currencyOf(p), "Ip": "192.0.2.10", "Pan": "411111**1111", "cardholderName": "TEST CARD",
		"expiration": "203001", "approvalCode": "123456", "depositAmount": p.Entry().Captured}
	if p.Status == acquirertest.Expired {
		out["ErrorCode"], out["ErrorMessage"] = "2", "Declined"
	}
	standintest.Answer(w, http.StatusOK, out)
}

// reverse undoes a payment before its calendar day in Yerevan ends; there is one try.
func (s *Server) reverse(w http.ResponseWriter, _ *http.Request, p acquirertest.Payment) {
	s.mu.Lock()
	again := s.reversed[p.Ref]
	s.reversed[p.Ref] = true
	s.mu.Unlock()
	yerevan := time.FixedZone("AMT", 4*60*60)
	p, err := s.books.Change(p.Ref, func(p *acquirertest.Payment) error {
		today := s.Control.Clock.Now().In(yerevan).Format(time.DateOnly) == p.PaidAt.In(yerevan).Format(time.DateOnly)
		if again || !today || (p.Status != acquirertest.Captured && p.Status != acquirertest.Authorized) {
			return acquirertest.ErrNotNow
		}
		p.Status, p.Refunded = acquirertest.Cancelled, p.Captured.Minor
		return nil
	})
	s.settled(w, p, err, "Operation is not allowed for the current order state")
}

func (s *Server) refund(w http.ResponseWriter, r *http.Request, p acquirertest.Payment) {
	minor, err := strconv.ParseInt(r.PostFormValue("amount"), 10, 64)
	if err != nil || minor < 1 {
		s.fail(w, 5, "[amount] is invalid")
		return
	}
	p, err = s.books.Refund(p.Ref, minor)
	s.settled(w, p, err, "Refund amount exceeds deposited amount")
}

// settled answers what moves money back: 7 for whatever is not possible.
func (s *Server) settled(w http.ResponseWriter, p acquirertest.Payment, err error, refusal string) {
	if err != nil {
		s.fail(w, 7, refusal)
		return
	}
	s.announce(p, 1, 0)
	s.done(w, map[string]any{})
}
