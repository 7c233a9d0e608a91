package acquirertest

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/tenants/standintest"
)

// Outcome is what a customer does, or what happens to them, on the hosted page.
type Outcome string

// The outcomes of POST /_control/pay.
const (
	Paid          Outcome = "paid"
	Declined      Outcome = "declined"
	Abandoned     Outcome = "abandoned"
	Held          Outcome = "authorized"
	WrongAmount   Outcome = "wrong_amount"
	WrongCurrency Outcome = "wrong_currency"
)

var outcomes = map[Outcome]bool{Paid: true, Declined: true, Abandoned: true, Held: true, WrongAmount: true, WrongCurrency: true}

// Desk is where customers and bank staff act on the books.
type Desk struct {
	Books *Books
	// RefOf finds the acquirer's id in a checkout URL.
	RefOf func(checkout *url.URL) string
	// Ask is the acquirer's question to the merchant before it takes money; an error is a no. nil when it does not ask.
	Ask func(p Payment) error
	// Announce sends so many notices of what just happened to the payment; nil when the acquirer sends none. It
	// returns at once.
	Announce func(p Payment, notices int, delay time.Duration)
	// NewOrphan enters a payment for an order that was never made, and whose notice goes to hook (empty: where the
	// last one's went); nil when the acquirer cannot have one.
	NewOrphan func(amount payments.Money, hook string) Payment
}

type request struct {
	URL      string  `json:"url"`
	Outcome  Outcome `json:"outcome"`
	Notices  *int    `json:"notices"`
	DelayMS  int     `json:"delay_ms"`
	Ref      string  `json:"ref"`
	Amount   int64   `json:"amount_minor"`
	Currency string  `json:"currency"`
	Status   string  `json:"status"`
	Merchant string  `json:"merchant"`
	Allow    bool    `json:"allow"`
}

// Routes adds the control API of an acquirer to mux. Every answer comes after the books were written; notices follow.
// Beside the documented routes there are: capture (held money is taken), reverse (staff undoes a
// payment), orphan (a payment we never asked for),
// merchant (the answers name another merchant), late (an expired page still takes money).
func (d Desk) Routes(mux *http.ServeMux) {
	d.route(mux, "pay", d.pay)
	d.route(mux, "refund", func(in request) (Payment, error) { return d.Books.Refund(in.Ref, in.Amount) })
	d.route(mux, "reverse", func(in request) (Payment, error) { return d.Books.Reverse(in.Ref) })
	d.route(mux, "capture", func(in request) (Payment, error) { return d.Books.Capture(in.Ref) })
	d.route(mux, "dispute", func(in request) (Payment, error) {
		return d.Books.Dispute(in.Ref, in.Amount, cmp.Or(in.Status, "opened"))
	})
	d.route(mux, "orphan", func(in request) (Payment, error) {
		if d.NewOrphan == nil {
			return Payment{}, ErrNotNow
		}
		return d.NewOrphan(payments.Money{Minor: in.Amount, Currency: in.Currency}, in.URL), nil
	})
	mux.HandleFunc("POST /_control/merchant", func(w http.ResponseWriter, r *http.Request) {
		var in request
		if !standintest.Decode(w, r, &in) {
			return
		}
		p, err := d.Books.Change(in.Ref, func(p *Payment) error {
			p.Merchant = cmp.Or(in.Merchant, "another-merchant")
			return nil
		})
		answer(w, p, err)
	})
	mux.HandleFunc("POST /_control/late", func(w http.ResponseWriter, r *http.Request) {
		var in request
		if standintest.Decode(w, r, &in) {
			d.Books.AllowLate(in.Allow)
			standintest.Answer(w, http.StatusOK, map[string]bool{"allow": in.Allow})
		}
	})
	mux.HandleFunc("GET /_control/books", func(w http.ResponseWriter, _ *http.Request) {
		standintest.Answer(w, http.StatusOK, d.Books.Entries())
	})
}

// route adds a deed that ends with its notices.
func (d Desk) route(mux *http.ServeMux, name string, deed func(request) (Payment, error)) {
	mux.HandleFunc("POST /_control/"+name, func(w http.ResponseWriter, r *http.Request) {
		var in request
		if !standintest.Decode(w, r, &in) {
			return
		}
		p, err := deed(in)
		if err == nil && d.Announce != nil && in.Outcome != Abandoned {
			n := 1
			if in.Notices != nil {
				n = *in.Notices
			}
			d.Announce(p, n, time.Duration(in.DelayMS)*time.Millisecond)
		}
		answer(w, p, err)
	})
}

var errOutcome = errors.New("unknown outcome")

func (d Desk) pay(in request) (Payment, error) {
	checkout, err := url.Parse(in.URL)
	if err != nil {
		return Payment{}, err
	}
	in.Outcome = cmp.Or(in.Outcome, Paid)
	if !outcomes[in.Outcome] {
		return Payment{}, errOutcome
	}
	return d.take(d.RefOf(checkout), in.Outcome)
}

// take books what the customer did; what takes money is asked about first.
func (d Desk) take(ref string, outcome Outcome) (Payment, error) {
	if d.Ask != nil && outcome != Abandoned && outcome != Declined {
		p, err := d.Books.Get(ref)
		if err != nil {
			return p, err
		}
		if err := d.Ask(p); err != nil {
			return p, fmt.Errorf("%w: %w", ErrNotNow, err)
		}
	}
	return d.Books.Pay(ref, outcome)
}

func answer(w http.ResponseWriter, p Payment, err error) {
	switch {
	case err == nil:
		standintest.Answer(w, http.StatusOK, p.Entry())
	case errors.Is(err, ErrUnknown):
		standintest.Answer(w, http.StatusNotFound, map[string]string{"error": err.Error()})
	case errors.Is(err, ErrNotNow), errors.Is(err, ErrTooMuch):
		standintest.Answer(w, http.StatusConflict, map[string]any{"error": err.Error(), "payment": p.Entry()})
	default:
		standintest.Answer(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
	}
}
