package ameriatest

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/acquirertest"
	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/tenants/standintest"
)

// request has the fields of all operations; amounts come as a number or as text.
type request struct {
	ClientID, Username, Password string
	OrderID                      json.Number
	PaymentID                    string
	Amount                       any
	Currency                     string
	Description, BackURL, Opaque string
	Timeout                      int64
}

var currencies = map[string]string{"051": "AMD", "": "AMD", "978": "EUR", "840": "USD", "643": "RUB"}

// operation decodes the body; what cannot be decoded is answered as the bank answers everything it cannot say.
func (s *Server) operation(do func(http.ResponseWriter, request)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in request
		decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10))
		decoder.UseNumber()
		if decoder.Decode(&in) != nil {
			broken(w)
			return
		}
		s.Control.Limits.Count(true)
		do(w, in)
	}
}

func broken(w http.ResponseWriter) {
	standintest.Answer(w, http.StatusInternalServerError, map[string]string{"Message": "An error has occurred."})
}

func (s *Server) user(in request) bool {
	return in.Username == s.cfg.Username && in.Password == s.cfg.Password
}

// money reads the amount of a request.
func (in request) money() (payments.Money, error) {
	return state.Parse(fmt.Sprint(in.Amount), currencies[in.Currency])
}

// init registers a payment. The same OrderID gives the same PaymentID and takes the newer body, as long as it is unpaid.
func (s *Server) init(w http.ResponseWriter, in request) {
	fail := func(code int, text string) {
		standintest.Answer(w, http.StatusOK, map[string]any{"PaymentID": "", "ResponseCode": code, "ResponseMessage": text})
	}
	n, err := in.OrderID.Int64()
	asked, err2 := in.money()
	switch {
	case !s.user(in) || in.ClientID != s.cfg.ClientID:
		fail(20, "Incorrect Username and Password")
		return
	case err != nil || n < s.cfg.OrderMin || n > s.cfg.OrderMax:
		fail(30, "Order ID is incorrect")
		return
	case in.BackURL == "" || in.Description == "":
		fail(4, "Mandatory parameter is missing")
		return
	case err2 != nil || !asked.Valid():
		fail(50, "Payment sum is incorrect")
		return
	case !s.cfg.AnyAmount && asked != payments.Money{Minor: 1000, Currency: "AMD"}:
		fail(560, "In test mode amount must be 10 AMD")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.books.Change(in.OrderID.String(), func(p *acquirertest.Payment) error {
		if p.Open() {
			p.Asked, p.Description, p.ReturnURL = asked, in.Description, in.BackURL
		}
		return nil
	})
	if err != nil {
		p = s.books.Add(acquirertest.Payment{Ref: guid(), Order: in.OrderID.String(), Asked: asked, Description: in.Description,
			ReturnURL: in.BackURL, Deadline: s.Control.Clock.Now().Add(lifetime(in.Timeout))})
		s.made[p.Ref] = s.Control.Clock.Now()
	}
	if p.Open() {
		s.opaque[p.Ref] = in.Opaque
	}
	standintest.Answer(w, http.StatusOK, map[string]any{"PaymentID": p.Ref, "ResponseCode": 1, "ResponseMessage": "OK"})
}

// lifetime of a page; the bank does not validate what it is told.
func lifetime(seconds int64) time.Duration {
	if seconds < 1 || seconds > 1200 {
		seconds = 1200
	}
	return time.Duration(seconds) * time.Second
}

// guid is upper case, as InitPayment gives it.
func guid() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return strings.ToUpper(fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]))
}

// paymentID recovers the PaymentID of an OrderID: another spelling of the key, lower case, an empty message.
func (s *Server) paymentID(w http.ResponseWriter, in request) {
	out := map[string]string{"PaymentId": "", "ResponseMessage": "Order not found", "ResponseCode": "06"}
	p, err := s.books.Get(in.OrderID.String())
	switch {
	case !s.user(in) || in.ClientID != s.cfg.ClientID:
		out["ResponseCode"], out["ResponseMessage"] = "20", "Incorrect Username and Password"
	case err == nil:
		out = map[string]string{"PaymentId": strings.ToLower(p.Ref), "ResponseMessage": "", "ResponseCode": "00"}
	}
	standintest.Answer(w, http.StatusOK, out)
}

// orderStatus is the bank's number for a status in the books.
var orderStatus = map[acquirertest.Status][2]string{
	acquirertest.Pending: {"0", "payment_started"}, acquirertest.Authorized: {"1", "payment_approved"},
	acquirertest.Captured: {"2", "payment_deposited"}, acquirertest.Cancelled: {"3", "payment_void"},
	acquirertest.Partly: {"4", "payment_refunded"}, acquirertest.Refunded: {"4", "payment_refunded"},
	acquirertest.Failed: {"6", "payment_declined"}, acquirertest.Expired: {"6", "payment_declined"},
}

func (s *Server) details(w http.ResponseWriter, in request) {
	p, err := s.books.Get(in.PaymentID)
	switch {
	case !s.user(in) || err != nil || p.Order == in.PaymentID:
		standintest.Answer(w, http.StatusOK, blank("550", "System Error"))
	case p.Status == acquirertest.Created: // nobody opened the page
		broken(w)
	default:
		standintest.Answer(w, http.StatusOK, s.full(p))
	}
}

// blank has all keys of the details, the absent values empty and never null.
func blank(code, description string) map[string]any {
	out := map[string]any{"PaymentType": 0, "ResponseCode": code, "Description": description,
		"BankInfo": map[string]string{"BankName": "", "BankCountryCode": "", "BankCountryName": ""}}
	for _, key := range []string{"Amount", "ApprovedAmount", "DepositedAmount", "RefundedAmount", "ExchangeRate"} {
		out[key] = json.Number("0.0")
	}
	for _, key := range []string{"ApprovalCode", "CardNumber", "ClientName", "ClientEmail", "Currency", "DateTime", "MDOrderID", "MerchantId",
		"TerminalId", "OrderID", "PaymentState", "PrimaryRC", "ExpDate", "ProcessingIP", "OrderStatus", "CardHolderID", "BindingID", "Opaque",
		"TrxnDescription", "rrn", "ActionCode"} {
		out[key] = ""
	}
	return out
}

func (s *Server) full(p acquirertest.Payment) map[string]any {
	out := blank("00", "Approved. - Payment post authorized")
	s.mu.Lock()
	opaque := s.opaque[p.Ref]
	s.mu.Unlock()
	status := orderStatus[p.Status]
	for key, value := range map[string]any{
		"OrderID": p.Order, "OrderStatus": status[0], "PaymentState": status[1], "PaymentType": 5, "Opaque": opaque,
		"MerchantId": s.cfg.MerchantID, "TerminalId": "00000000", "TrxnDescription": degrade(p.Description),
		"Amount": decimal(p.Asked), "Currency": number(p.Asked.Currency), "MDOrderID": strings.ToLower(p.Ref), "rrn": strings.ToLower(p.Ref),
		"ClientName": "TEST CARD VPOS", "ClientEmail": "payer@example.com", "ProcessingIP": "192.0.2.10", "ExpDate": "203001", "CardNumber": "000000**0000",
		"DateTime": s.Control.Clock.Now().In(time.FixedZone("AMT", 4*60*60)).Format("02/01/2006 15:04:05"),
	} {
		out[key] = value
	}
	switch p.Status {
	case acquirertest.Pending:
		out["DateTime"] = ""
	case acquirertest.Failed:
		out["ResponseCode"], out["ActionCode"], out["PrimaryRC"], out["Description"] = "0116", "116", "116", "Decline. Not enough money"
	case acquirertest.Expired:
		out["ResponseCode"], out["ActionCode"], out["PrimaryRC"], out["Description"] = "0-2007", "-2007", "-2007", "Decline. Payment time limit"
	default:
		left := payments.Money{Minor: p.Captured.Minor - p.Refunded, Currency: p.Captured.Currency}
		back := payments.Money{Minor: p.Refunded, Currency: p.Captured.Currency}
		if !p.Taken() { // held, or void, which is no refund
			left.Minor, back.Minor = 0, 0
		}
		out["Currency"], out["ApprovedAmount"], out["DepositedAmount"] = number(p.Captured.Currency), decimal(p.Captured), decimal(left)
		out["RefundedAmount"] = decimal(back)
		out["DateTime"] = p.PaidAt.In(time.FixedZone("AMT", 4*60*60)).Format("02/01/2006 15:04:05")
	}
	if p.Merchant != "" {
		out["MerchantId"] = p.Merchant
	}
	return out
}

// degrade is what becomes of Armenian letters on their way through the bank.
func degrade(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Armenian, r) {
			return '\u00BF'
		}
		return r
	}, s)
}

func number(currency string) string {
	for n, code := range currencies {
		if code == currency && n != "" {
			return n
		}
	}
	return ""
}

// decimal is an amount as a JSON number with one or two decimals.
func decimal(m payments.Money) json.Number {
	text := m.Decimal()
	return json.Number(strings.TrimSuffix(text, "0"))
}

func (s *Server) refund(w http.ResponseWriter, in request) {
	s.settle(w, in, "Success", "Refund amount exceeds deposited amount", s.cfg.NoRefunds, "513", func(p acquirertest.Payment) error {
		in.Currency = number(p.Captured.Currency)
		amount, err := in.money()
		if err != nil || amount.Minor == 0 {
			return acquirertest.ErrTooMuch
		}
		_, err = s.books.Refund(p.Ref, amount.Minor)
		return err
	})
}

func (s *Server) cancel(w http.ResponseWriter, in request) {
	s.settle(w, in, "OK", "Reversal is impossible for current transaction state", s.cfg.NoReversals, "514", func(p acquirertest.Payment) error {
		s.mu.Lock()
		made := s.made[p.Ref]
		s.mu.Unlock()
		if s.Control.Clock.Now().Sub(made) > longest {
			return acquirertest.ErrNotNow
		}
		_, err := s.books.Reverse(p.Ref)
		return err
	})
}

// settle answers what moves money back: "00", or "07" whose meaning is only in the message.
// A merchant without the right to it is told so by a code of its own.
func (s *Server) settle(w http.ResponseWriter, in request, done, refused string, denied bool, code string, do func(acquirertest.Payment) error) {
	p, err := s.books.Get(in.PaymentID)
	out := map[string]string{"ResponseCode": "550", "ResponseMessage": "System Error", "Opaque": ""}
	if s.user(in) && err == nil {
		s.mu.Lock()
		out = map[string]string{"ResponseCode": "00", "ResponseMessage": done, "Opaque": s.opaque[p.Ref]}
		s.mu.Unlock()
		if denied {
			out["ResponseCode"], out["ResponseMessage"] = code, "No permission"
		} else if err := do(p); errors.Is(err, acquirertest.ErrNotNow) || errors.Is(err, acquirertest.ErrTooMuch) {
			out["ResponseCode"], out["ResponseMessage"] = "07", refused
		}
	}
	standintest.Answer(w, http.StatusOK, out)
}
