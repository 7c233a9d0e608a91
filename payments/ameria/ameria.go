// Package ameria speaks Ameriabank's vPOS 3.1 (vendor document "vPOS 3.1 API description"). The bank sends no notices
// and has no idempotency key: what became of a payment is asked for. HTTP status carries no outcome; success is the
// number 1 from InitPayment and the text "00" elsewhere; 550 and HTTP 500 prove nothing.
package ameria

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/payments/wire"
)

// Key names this acquirer in the database, in paths and in settings.
const Key = "ameria"

// ErrRange is wrapped when the OrderID range that the bank gave the merchant cannot serve an attempt.
var ErrRange = errors.New("ameria: no free OrderID in the merchant's range")

// Config says where the bank is. Zero values mean the defaults. Offset must not change while payments are open: an answer is
// ours by its OrderID.
type Config struct {
	TestURL string // "https://servicestest.ameriabank.am/VPOS/"
	LiveURL string // "https://services.ameriabank.am/VPOS/"
	// Offset is added to Order.Number where the bank gave the merchant no range. It keeps two deployments of one merchant
	// apart: InitPayment with a used OrderID overwrites that payment's amount.
	Offset int64
	// Wrap begins a merchant's range again when it is used up. Only in test mode, where ranges have a hundred numbers and
	// nothing is lost when two tests meet; with live money what is beyond the range is refused.
	Wrap       bool
	Currencies []string // AMD; the others of the documentation were never seen working
	Now        func() time.Time
}

// session is the longest life of the bank's page.
const session = 1200 * time.Second

// Provider implements payments.Provider, payments.Refunder and payments.Ranger. It keeps no state.
type Provider struct{ cfg Config }

// New returns the provider.
func New(cfg Config) *Provider {
	cfg.TestURL = cmp.Or(cfg.TestURL, "https://servicestest.ameriabank.am/VPOS/")
	cfg.LiveURL = cmp.Or(cfg.LiveURL, "https://services.ameriabank.am/VPOS/")
	if cfg.Currencies == nil {
		cfg.Currencies = []string{"AMD"}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Provider{cfg}
}

// Describe says what the bank can do and asks for what it gives its merchants.
func (p *Provider) Describe() payments.Description {
	return payments.Description{
		Name: "Ameriabank", Currencies: p.cfg.Currencies, Refunds: true, Partial: true, Reversals: true,
		Hosts: []string{host(p.cfg.TestURL), host(p.cfg.LiveURL)},
		Credentials: []payments.Credential{
			{Key: "client_id", Label: "ClientID"},
			{Key: "username", Label: "Username"},
			{Key: "password", Label: "Password", Secret: true},
			{Key: "order_min", Label: "First OrderID of your range", Optional: true},
			{Key: "order_max", Label: "Last OrderID of your range", Optional: true},
			{Key: "mode", Label: "Mode (test or live)", Default: "test"},
			{Key: "merchant_id", Label: "MerchantId (compared with each payment)", Optional: true},
		},
	}
}

func host(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		return ""
	}
	return u.Host
}

// base is the address for this connection; only the word "live" leads to live money.
func (p *Provider) base(c payments.Connection) string {
	if c.Credentials["mode"] == "live" {
		return p.cfg.LiveURL
	}
	return p.cfg.TestURL
}

// span is the range of OrderIDs that the bank gave the merchant; all numbers when it gave none.
func span(c payments.Connection) (low, high int64, err error) {
	first, last := c.Credentials["order_min"], c.Credentials["order_max"]
	if first == "" && last == "" {
		return 1, math.MaxInt64, nil
	}
	low, err = strconv.ParseInt(first, 10, 64)
	high, err2 := strconv.ParseInt(last, 10, 64)
	if err != nil || err2 != nil || low < 1 || high < low {
		return 0, 0, fmt.Errorf("%w: ameria: the OrderID range is not two numbers", payments.ErrCredentials)
	}
	return low, high, nil
}

// Range is what the bank gave the merchant: OrderIDs are unique for a ClientID.
func (p *Provider) Range(c payments.Connection) (payments.Range, bool) {
	low, high, err := span(c)
	if err != nil || high == math.MaxInt64 {
		return payments.Range{}, false
	}
	live := c.Credentials["mode"] == "live"
	return payments.Range{Merchant: p.base(c) + c.Credentials["client_id"], First: low, Last: high, Again: p.cfg.Wrap && !live}, true
}

// orderID is the OrderID of an order. ErrRange when it is not the merchant's.
func (p *Provider) orderID(c payments.Connection, number int64) (int64, error) {
	low, high, err := span(c)
	if err != nil {
		return 0, err
	}
	if number > 0 && high == math.MaxInt64 {
		number += p.cfg.Offset
	}
	if number < low || number > high {
		return 0, fmt.Errorf("%w: %w: %d", payments.ErrRefused, ErrRange, number)
	}
	return number, nil
}

type initPayment struct {
	ClientID    string
	Username    string
	Password    string
	OrderID     int64
	Amount      string // decimal text: the bank takes a number too, but that would tempt a float
	Currency    string
	Description string
	BackURL     string
	Opaque      string // comes back in the details: our attempt
	Timeout     int64  // seconds
}

// Start registers a payment. Repeating it is safe: the same OrderID with the same amount is the same payment.
func (p *Provider) Start(ctx context.Context, c payments.Connection, o payments.Order) (payments.Checkout, error) {
	currency, known := wire.Number(o.Amount.Currency)
	if !o.Amount.Valid() || !known {
		return payments.Checkout{}, fmt.Errorf("%w: ameria: %s cannot be charged", payments.ErrRefused, o.Amount)
	}
	n, err := p.orderID(c, o.Number)
	if err != nil {
		return payments.Checkout{}, err
	}
	now := p.cfg.Now()
	life := wire.Life(o, now, session)
	reply, err := p.call(ctx, c, "InitPayment", initPayment{ClientID: c.Credentials["client_id"], Username: c.Credentials["username"],
		Password: c.Credentials["password"], OrderID: n, Amount: o.Amount.Decimal(), Currency: currency, Description: o.Description,
		BackURL: o.ReturnURL, Opaque: o.Attempt, Timeout: int64(life / time.Second)}, payments.ErrUnavailable)
	if err != nil {
		return payments.Checkout{}, fmt.Errorf("ameria: start: %w", err)
	}
	code, id := reply.Code("ResponseCode"), reply.Text("PaymentID")
	if code == "01" || code == "08204" { // documented, never seen: the order is there, and it can only be ours
		if id, err = p.find(ctx, c, n); err != nil {
			return payments.Checkout{}, fmt.Errorf("%w: %w", payments.ErrStarted, err)
		}
		code = "1"
	}
	switch {
	case code == "1" && id != "":
		checkout := p.base(c) + "Payments/Pay?" + url.Values{"id": {id}, "lang": {pageLanguage(o.Language)}}.Encode()
		return payments.Checkout{URL: checkout, ProviderRef: id, Deadline: now.Add(life)}, nil
	case code == "20":
		err = payments.ErrCredentials
	case code == "500" || code == "520" || code == "550" || code == "1" || code == "":
		err = payments.ErrUnavailable
	default:
		err = payments.ErrRefused
	}
	return payments.Checkout{}, fmt.Errorf("%w: ameria: start: code %s", err, code)
}

// pageLanguage is the bank's word for the language of its page; Armenian is "am" there.
func pageLanguage(lang string) string {
	switch lang {
	case "hy":
		return "am"
	case "ru":
		return "ru"
	}
	return "en"
}

// Hear refuses everything: the bank sends no notices.
func (p *Provider) Hear(payments.Connection, payments.Notice) (payments.Heard, error) {
	return payments.Heard{}, fmt.Errorf("%w: Ameriabank sends none", payments.ErrNotice)
}

// Check asks for the payment of the first OrderID of the range: wrong credentials are answered 20 there, and only
// there unambiguously.
func (p *Provider) Check(ctx context.Context, c payments.Connection) error {
	low, _, err := span(c)
	if err != nil {
		return err
	}
	_, err = p.find(ctx, c, low)
	if errors.Is(err, payments.ErrNothingNew) {
		return nil
	}
	return err
}

// statuses are the bank's order statuses; all others prove nothing. 4 is a refund, also of a part; 5 is the card
// holder's authentication, not money.
var statuses = map[string]state.AttemptStatus{
	"0": state.Pending, "1": state.Authorized, "2": state.AttemptPaid, "3": state.AttemptCancelled,
	"4": state.AttemptPaid, authenticating: state.Pending, "6": state.AttemptFailed,
}

const authenticating = "5"

// The ends of a declined payment whose code says more than that. A code for a card's outcome is a 0 and the code that
// ArCa gave.
const (
	timeOver  = "0-2007"  // nobody paid within the session
	unsettled = "0151019" // the processor lost the answer after it had asked: the card may have been charged
)
