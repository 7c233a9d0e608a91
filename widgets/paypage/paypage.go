// Package paypage renders the page on which a customer pays. It needs no JavaScript, holds nothing of the customer's,
// and says what happened in the reader's language; what it shows is decided by its callers.
package paypage

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/dealpay/dealpay/frontend"
	"github.com/dealpay/dealpay/payments"
)

// State is what the page says.
type State string

// The states of the page. Open, Failed, PartPaid and Trouble let the customer pay.
const (
	Open        State = "open"
	Checking    State = "checking" // the acquirer has not decided yet; the page asks until it has
	Paid        State = "paid"
	Failed      State = "failed" // the last attempt; RetryReason says why
	Expired     State = "expired"
	Cancelled   State = "cancelled"
	Replaced    State = "replaced"     // a newer link asks for the same; it is not shown, because it may be for somebody else
	AlreadyPaid State = "already_paid" // paid before this visit
	Review      State = "review"
	PartPaid    State = "part_paid" // Amount is the rest
	Refunded    State = "refunded"  // all of it went back
	Closed      State = "closed"    // no acquirer of the merchant's takes it now
	Unknown     State = "unknown"   // no such link: 404
	Trouble     State = "trouble"   // the acquirer cannot be reached
	Leaving     State = "leaving"   // on the way to an acquirer that wants a form posted
)

// States lists them.
var States = []State{Open, Checking, Paid, Failed, Expired, Cancelled, Replaced, AlreadyPaid, Review, PartPaid, Refunded, Closed, Unknown, Trouble, Leaving}

// Page is what one customer sees of one link.
type Page struct {
	Lang        string // one of Langs, as Pick returns it
	Merchant    string
	Accent      string // the tenant's colour, #rrggbb; anything else means ours
	Test        bool   // no real money is taken; the badge cannot be removed
	Token       string // of the link, as it stands in the address
	State       State
	Amount      payments.Money // to be paid now
	Paid, Total payments.Money // with PartPaid
	Claim       payments.Money // what Amount settles where the deal has another currency; zero otherwise
	Rate        string         // units of Amount's currency for one of Claim's
	Purpose     string
	Due         time.Time      // of an instalment; zero otherwise
	Until       time.Time      // zero when nothing may be paid any more
	Zone        *time.Location // the tenant's; UTC when nil
	Methods     []Method       // in the order they are offered
	Method      string         // key of the one to choose at first; with Leaving the one being gone to
	Receipt     *Receipt       // with Paid, and with AlreadyPaid and Refunded when it is known
	RetryReason string         // with Failed: declined, funds, cancelled or expired; anything else is not explained
	Forward     *Forward       // with Leaving
}

// Method is one way to pay.
type Method struct {
	Key  string // goes back in the form as "method"
	Name string // as customers know it
	Mark string // one or two letters beside the name; the name's first letter when empty
}

// Receipt is what a customer keeps.
type Receipt struct {
	Number    string
	Amount    payments.Money
	Refunded  payments.Money // of it; zero when nothing went back
	PaidAt    time.Time
	Reference string // the acquirer's
	Merchant  string
}

// Forward is a form that the customer's browser posts to the acquirer.
type Forward struct {
	URL    string
	Fields map[string]string
}

// Code is the HTTP status that goes with the page.
func (p Page) Code() int {
	switch p.State {
	case Unknown:
		return http.StatusNotFound
	case Trouble, Closed:
		return http.StatusServiceUnavailable
	}
	return http.StatusOK
}

// Payable says whether the page has a pay button.
func (p Page) Payable() bool {
	switch p.State {
	case Open, Failed, PartPaid, Trouble:
		return len(p.Methods) > 0
	}
	return false
}

// Policy is the Content-Security-Policy the page must be served with. There is no form-action in it: browsers hold it
// against the redirect that follows the form, which leads to the acquirer.
func (p Page) Policy() string {
	hash := sha256.Sum256([]byte(p.style()))
	return "default-src 'none'; script-src 'self'; font-src 'self'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) +
		"'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'"
}

// sheet stands in the page itself: on a slow net the page comes whole or not at all.
var sheet = frontend.Sheet("pay")

// style is the sheet with the tenant's colour and the text that can be read on it.
func (p Page) style() string {
	accent, text := Readable(p.Accent)
	return fmt.Sprintf("%s:root{--accent:%s;--accent-text:%s}", sheet, accent, text)
}

//go:embed page.html
var source embed.FS

var page = template.Must(template.New("page.html").ParseFS(source, "page.html"))

// Render writes the page as HTML. Serve it with Code, Policy and no caching.
func Render(w io.Writer, p Page) error {
	var out bytes.Buffer
	if err := page.Execute(&out, viewOf(p)); err != nil {
		return fmt.Errorf("paypage: %w", err)
	}
	_, err := out.WriteTo(w)
	return err
}

// view is what the template reads: the page, and everything on it that depends on the language.
type view struct {
	Page
	t       dictionary
	Style   template.CSS
	Choices []choice
	Others  []other
}

type choice struct {
	Method
	Chosen bool
}

type other struct{ Lang, Name string }

func viewOf(p Page) view {
	if _, ok := dictionaries[p.Lang]; !ok {
		p.Lang = "en"
	}
	if p.Zone == nil {
		p.Zone = time.UTC
	}
	v := view{Page: p, t: dictionaries[p.Lang], Style: template.CSS(p.style())} //nolint:gosec // made of our own sheet and two checked colours
	chosen := 0
	for i, m := range p.Methods {
		if m.Key == p.Method {
			chosen = i
		}
	}
	for i, m := range p.Methods {
		if m.Mark == "" {
			r, _ := utf8.DecodeRuneInString(m.Name)
			m.Mark = string(unicode.ToUpper(r))
		}
		v.Choices = append(v.Choices, choice{m, i == chosen})
	}
	for _, lang := range Langs {
		if lang != p.Lang {
			v.Others = append(v.Others, other{lang, dictionaries[lang].Name})
		}
	}
	return v
}

// T writes the word of a key with the page's values filled in.
func (v view) T(key string) string {
	return v.t.say(key, map[string]string{
		"amount": v.Money(v.Amount), "paid": v.Money(v.Page.Paid), "total": v.Money(v.Total), "merchant": v.Merchant,
		"method": v.methodName(), "time": v.Time(v.Until), "due": v.Time(v.Due), "claim": v.Money(v.Claim), "rate": v.Rate,
	})
}

// Money writes an amount with its currency.
func (v view) Money(m payments.Money) string { return Money(m, v.Lang) }

// Time writes a moment in the tenant's time zone.
func (v view) Time(t time.Time) string { return v.t.moment(t.In(v.Zone)) }

// Reason says why the last attempt failed.
func (v view) Reason() string {
	switch v.RetryReason {
	case "declined", "funds", "cancelled", "expired":
		return v.T("reason." + v.RetryReason)
	}
	return v.T("reason.other")
}

// Title is what happened; an open page needs no title, its amount says it.
func (v view) Title() string {
	if v.State == Open {
		return ""
	}
	return v.T(string(v.State) + ".title")
}

// Text is why, and what to do.
func (v view) Text() string {
	if v.State == Open {
		return ""
	}
	return v.T(string(v.State) + ".text")
}

// Initial is the merchant's mark.
func (v view) Initial() string {
	r, _ := utf8.DecodeRuneInString(v.Merchant)
	return string(unicode.ToUpper(r))
}

// Where says on whose page the card is entered.
func (v view) Where() string {
	if len(v.Methods) > 1 {
		return v.T("where.many")
	}
	return v.T("where")
}

func (v view) methodName() string {
	for _, c := range v.Choices {
		if c.Chosen {
			return c.Name
		}
	}
	return ""
}
