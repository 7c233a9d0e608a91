// Package acquirertest is what the acquirers' stand-ins have in common: the books, the hosted payment page, the
// notices, and the control routes by which a test does what a customer or bank staff would. A stand-in adds the wire
// of its own acquirer.
package acquirertest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dealpay/dealpay/payments"
)

// Status is what the acquirer's books say of a payment.
type Status string

// The statuses.
const (
	Created    Status = "created" // nobody opened its page yet
	Pending    Status = "pending"
	Authorized Status = "authorized"
	Captured   Status = "captured"
	Failed     Status = "failed" // the customer may try again on the same page
	Expired    Status = "expired"
	Cancelled  Status = "cancelled"
	Partly     Status = "partially_refunded"
	Refunded   Status = "refunded"
)

// Payment is one order at the acquirer. Amounts are minor units as everywhere in Dealpay.
type Payment struct {
	Ref         string // the acquirer's id
	Order       string // the merchant's order number
	Asked       payments.Money
	Status      Status
	Captured    payments.Money // held or taken; zero until then
	Refunded    int64
	Disputes    []Dispute
	Merchant    string // another merchant that the answers name instead of the right one
	Description string
	Language    string
	ReturnURL   string
	NotifyURL   string
	Deadline    time.Time
	PaidAt      time.Time
}

// Dispute is a chargeback in the books; Status is "opened", "won" or "lost".
type Dispute struct {
	Ref    string
	Minor  int64
	Status string
}

// Taken says whether the money was captured, whatever happened to it later.
func (p Payment) Taken() bool {
	return p.Status == Captured || p.Status == Partly || p.Status == Refunded
}

// Open says whether the customer can still pay.
func (p Payment) Open() bool {
	return p.Status == Created || p.Status == Pending || p.Status == Failed
}

// The errors of the books.
var (
	ErrUnknown = errors.New("no such payment")
	ErrNotNow  = errors.New("not possible in this status")
	ErrTooMuch = errors.New("more than there is")
)

// Books are the acquirer's payments. Make them with [NewBooks].
type Books struct {
	now func() time.Time

	mu   sync.Mutex
	all  []*Payment
	late bool // an expired page still takes money
}

// NewBooks returns empty books that tell the time by now.
func NewBooks(now func() time.Time) *Books { return &Books{now: now} }

// Reset empties the books.
func (b *Books) Reset() {
	b.mu.Lock()
	b.all, b.late = nil, false
	b.mu.Unlock()
}

// AllowLate decides whether a page that expired still takes money.
func (b *Books) AllowLate(allow bool) {
	b.mu.Lock()
	b.late = allow
	b.mu.Unlock()
}

// Add enters a new payment.
func (b *Books) Add(p Payment) Payment {
	b.mu.Lock()
	defer b.mu.Unlock()
	p.Status = cmp.Or(p.Status, Created)
	b.all = append(b.all, &p)
	return p
}

// All returns the payments in the order they were entered.
func (b *Books) All() []Payment {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]Payment, len(b.all))
	for i, p := range b.all {
		all[i] = b.read(p)
	}
	return all
}

// Get finds a payment by the acquirer's id, letter case aside, or by the merchant's order number.
func (b *Books) Get(ref string) (Payment, error) {
	return b.Change(ref, func(*Payment) error { return nil })
}

// Change finds a payment as Get does and changes it, unless fn fails.
func (b *Books) Change(ref string, fn func(*Payment) error) (Payment, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.IndexFunc(b.all, func(p *Payment) bool { return strings.EqualFold(p.Ref, ref) })
	if i < 0 {
		i = slices.IndexFunc(b.all, func(p *Payment) bool { return p.Order == ref })
	}
	if i < 0 || ref == "" {
		return Payment{}, ErrUnknown
	}
	changed := b.read(b.all[i])
	if err := fn(&changed); err != nil {
		return b.read(b.all[i]), err
	}
	*b.all[i] = changed
	return b.read(b.all[i]), nil
}

// read copies a payment, as the clock has it.
func (b *Books) read(p *Payment) Payment {
	c := *p
	c.Disputes = slices.Clone(p.Disputes)
	if c.Open() && !c.Deadline.IsZero() && b.now().After(c.Deadline) {
		c.Status = Expired
	}
	return c
}

// Pay does what a customer does on the hosted page.
func (b *Books) Pay(ref string, outcome Outcome) (Payment, error) {
	late := b.lateAllowed()
	return b.Change(ref, func(p *Payment) error {
		if !p.Open() && (p.Status != Expired || !late) {
			return ErrNotNow
		}
		switch outcome {
		case Abandoned:
			if p.Status == Created {
				p.Status = Pending
			}
			return nil
		case Declined:
			p.Status = Failed
			return nil
		}
		p.Status, p.Captured, p.PaidAt = Captured, p.Asked, b.now()
		switch outcome {
		case Held:
			p.Status = Authorized
		case WrongAmount:
			p.Captured.Minor = max(1, p.Asked.Minor/2)
			if whole := p.Captured.Minor / 100 * 100; whole > 0 && p.Asked.Minor%100 == 0 { // an acquirer of whole dram stays one
				p.Captured.Minor = whole
			}
		case WrongCurrency:
			p.Captured.Currency = "USD"
			if p.Asked.Currency == "USD" {
				p.Captured.Currency = "EUR"
			}
		}
		return nil
	})
}

func (b *Books) lateAllowed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.late
}

// Capture takes the money that is held.
func (b *Books) Capture(ref string) (Payment, error) {
	return b.Change(ref, func(p *Payment) error {
		if p.Status != Authorized {
			return ErrNotNow
		}
		p.Status = Captured
		return nil
	})
}

// Refund gives minor units back; 0 means all that is left.
func (b *Books) Refund(ref string, minor int64) (Payment, error) {
	return b.Change(ref, func(p *Payment) error {
		left := p.Captured.Minor - p.Refunded
		switch {
		case !p.Taken():
			return ErrNotNow
		case minor < 0 || minor > left || left == 0:
			return ErrTooMuch
		case minor == 0:
			minor = left
		}
		p.Refunded += minor
		p.Status = Partly
		if p.Refunded == p.Captured.Minor {
			p.Status = Refunded
		}
		return nil
	})
}

// Reverse undoes a payment as bank staff does: what is held or was taken goes back whole.
func (b *Books) Reverse(ref string) (Payment, error) {
	return b.Change(ref, func(p *Payment) error {
		switch p.Status {
		case Captured:
			p.Refunded = p.Captured.Minor
		case Authorized:
		default:
			return ErrNotNow
		}
		p.Status = Cancelled
		return nil
	})
}

// Dispute opens a chargeback of minor units (0 means the whole payment), or closes the last one.
func (b *Books) Dispute(ref string, minor int64, status string) (Payment, error) {
	return b.Change(ref, func(p *Payment) error {
		n := len(p.Disputes)
		switch {
		case !p.Taken():
			return ErrNotNow
		case minor < 0 || minor > p.Captured.Minor:
			return ErrTooMuch
		case status == "opened":
			p.Disputes = append(p.Disputes, Dispute{fmt.Sprintf("dp_%s_%d", p.Ref, n+1), cmp.Or(minor, p.Captured.Minor), status})
		case n == 0:
			return ErrNotNow
		default:
			p.Disputes[n-1].Status = status
		}
		return nil
	})
}

// Entry is a payment as GET /_control/books shows it.
type Entry struct {
	Ref      string `json:"ref"`
	Order    string `json:"order"`
	Amount   int64  `json:"amount_minor"` // asked
	Currency string `json:"currency"`     // taken, or asked as long as nothing was
	Status   Status `json:"status"`
	Captured int64  `json:"captured_minor"`
	Refunded int64  `json:"refunded_minor"`
	Disputed int64  `json:"disputed_minor,omitempty"` // chargebacks that are not decided
	Lost     int64  `json:"lost_minor,omitempty"`     // chargebacks that took the money back
}

// Entry is the payment's line in the books. What is only held is not captured.
func (p Payment) Entry() Entry {
	e := Entry{Ref: p.Ref, Order: p.Order, Amount: p.Asked.Minor, Status: p.Status, Refunded: p.Refunded,
		Currency: cmp.Or(p.Captured.Currency, p.Asked.Currency)}
	if p.Taken() || p.Refunded > 0 { // a payment that was undone had been taken
		e.Captured = p.Captured.Minor
	}
	for _, d := range p.Disputes {
		switch d.Status {
		case "opened":
			e.Disputed += d.Minor
		case "lost":
			e.Lost += d.Minor
		}
	}
	return e
}

// Entries are all lines of the books.
func (b *Books) Entries() []Entry {
	entries := []Entry{}
	for _, p := range b.All() {
		entries = append(entries, p.Entry())
	}
	return entries
}
