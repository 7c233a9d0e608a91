package payments

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/dealpay/dealpay/payments/state"
)

// Money is an amount in integer minor units with its currency.
type Money = state.Money

// Provider is the port to an acquirer. Implementations keep no state: what belongs to a tenant comes in as a
// Connection. They never decide a status by themselves: observations are data for the state table.
type Provider interface {
	// Describe says what this acquirer can do and which credentials it needs.
	Describe() Description
	// Start opens a hosted checkout for the order. Repeating it with the same order is safe, or answers ErrStarted
	// where the acquirer cannot repeat it. Errors: ErrCredentials, ErrRefused, ErrUnavailable.
	Start(ctx context.Context, c Connection, o Order) (Checkout, error)
	// Look asks the acquirer what became of the order: the truth. Errors: ErrNothingNew (the answer proves nothing;
	// keep the status), ErrUnclear, ErrCredentials, ErrUnavailable.
	Look(ctx context.Context, c Connection, o Order) (Observation, error)
	// Hear reads a notice without believing it: which order is it about, and is its signature good. It does no I/O.
	// Errors: ErrNotice when it cannot be understood.
	Hear(c Connection, n Notice) (Heard, error)
	// Check tries the credentials against the acquirer without moving money. Errors: ErrCredentials, ErrUnavailable.
	Check(ctx context.Context, c Connection) error
}

// Refunder can give money back through the acquirer's API. id is ours and the idempotency key where one is taken.
// ErrUnknown means that the money may have moved: settle it with Look, never by repeating.
type Refunder interface {
	Refund(ctx context.Context, c Connection, o Order, id string, amount Money) error
}

// Canceller can close an unpaid checkout at the acquirer, so that it cannot be paid any more.
type Canceller interface {
	CancelCheckout(ctx context.Context, c Connection, o Order) error
}

// Ranger belongs to an acquirer that gives each of its merchants order numbers of their own.
type Ranger interface {
	// Range is what the connection's merchant was given; ok is false when it was given none, and our own number serves.
	Range(c Connection) (r Range, ok bool)
}

// Range are the order numbers that an acquirer gave a merchant. Each is used once.
type Range struct {
	Merchant    string // how the acquirer tells its merchants apart, test and live ones too
	First, Last int64
	Again       bool // it begins again when it is used up: of test money only
}

// Teller belongs to an acquirer without a status call: the verified notice itself carries the observation.
type Teller interface {
	Tell(c Connection, n Notice) (Observation, error)
}

// Replier belongs to an acquirer that expects a fixed answer to a notice.
type Replier interface {
	Reply(outcome Outcome) (status int, contentType string, body []byte)
}

// Prechecker belongs to an acquirer that asks before it takes money; an empty refusal allows it.
type Prechecker interface {
	Precheck(c Connection, n Notice) (orderRef string, amount Money, err error)
}

// Errors that providers return, wrapped with what was being done.
var (
	ErrCredentials = errors.New("payments: the acquirer does not accept these credentials")
	ErrRefused     = errors.New("payments: the acquirer refused")
	ErrNoRefunds   = fmt.Errorf("%w: this merchant has no right to refund", ErrRefused)
	ErrNoReversals = fmt.Errorf("%w: this merchant has no right to reverse", ErrRefused)
	ErrUnavailable = errors.New("payments: the acquirer cannot be reached")
	ErrNothingNew  = errors.New("payments: the acquirer's answer proves nothing")
	ErrUnclear     = fmt.Errorf("%w: it says of the order what is in no documentation", ErrNothingNew) // a person should look
	ErrUnknown     = errors.New("payments: the outcome is unknown")
	ErrStarted     = errors.New("payments: this order was already opened at the acquirer")
	ErrNotice      = errors.New("payments: not a notice of this acquirer")
)

// Description is what an acquirer can do, and what a tenant must enter to connect it.
type Description struct {
	Name        string       // as customers know it, "VPOS.am"
	Currencies  []string     // it can take; empty means any we know
	WholeUnits  bool         // it takes no fractions of a major unit
	Refunds     bool         // by API
	Partial     bool         // refunds may be partial
	Reversals   bool         // a whole payment can also be undone where the merchant has no right to refund
	Disputes    bool         // it tells of chargebacks by itself
	Notices     bool         // it sends notices to /hooks
	Credentials []Credential // in the order of the form
	Hosts       []string     // it talks to these; a tenant cannot name others
}

// Credential is one field of the form by which a tenant connects an acquirer.
type Credential struct {
	Key      string `json:"key"`
	Label    string `json:"label"`
	Secret   bool   `json:"secret"`
	Optional bool   `json:"optional"`
	Default  string `json:"default,omitempty"`
}

// Connection is one tenant's access to an acquirer.
type Connection struct {
	ID          string
	Acquirer    string
	Credentials map[string]string // by Credential.Key; never logged
	HTTP        *http.Client      // allow-listed, with deadline and bounded bodies

	refused bool   // when it was read: the acquirer did not take these credentials
	sealed  []byte // the credentials as they are kept
}

// Order is what an attempt asks of the acquirer.
type Order struct {
	Attempt     string // our attempt id, the idempotency key of Start
	Reference   string // order number shown to the acquirer, unique per connection
	Number      int64  // the same for acquirers that take integers only; unique in this deployment, positive
	Amount      Money
	Description string
	ReturnURL   string // where the customer comes back; proves nothing
	NotifyURL   string
	Language    string // hy, ru or en
	Deadline    time.Time
	ProviderRef string // the acquirer's id, once known
}

// Checkout is where to send the customer: a URL, or a form to post.
type Checkout struct {
	URL         string
	Form        map[string]string // posted to URL when not nil
	ProviderRef string
	Deadline    time.Time // when the acquirer closes it; zero when it did not say
}

// Observation is what an acquirer says of an order.
type Observation struct {
	Status      state.AttemptStatus
	Busy        bool  // with status pending: a payment has begun there and its money may come any moment, which an open page does not say
	Captured    Money // taken so far; with status paid
	Refunded    Money // gone back so far, in total
	Failed      []FailedRefund
	Foreign     bool   // it names another merchant or order than ours
	Reference   string // order number as the acquirer has it
	ProviderRef string
	PaidAt      time.Time // the acquirer's own word, for display only
	Disputes    []Dispute
	Code        string // the acquirer's code, for support; never shown to a manager
	Raw         []byte // redacted answer, kept as evidence; no card or person in it
}

// FailedRefund is a refund that came to nothing, perhaps after it had been called done. It is not in Refunded.
type FailedRefund struct {
	Ref    string // the id that Refund was given, or the acquirer's own
	Amount Money
}

// Dispute is a chargeback.
type Dispute struct {
	Ref    string
	Amount Money
	Status state.FactKind // DisputeOpened, DisputeWon or DisputeLost
}

// Notice is an acquirer's request to our hook, bounded and unchanged.
type Notice struct {
	Method     string
	Query      string // raw
	Header     http.Header
	Body       []byte
	ReceivedAt time.Time
}

// Heard is what a notice says before it is believed.
type Heard struct {
	Reference   string // our order number, if it names one
	ProviderRef string // the acquirer's id, if it names one
	Authentic   bool   // its signature is good; an unsigned hint is not authentic but still a reminder
	Signed      bool   // the acquirer signs its notices
	Key         string // what makes a repetition recognisable; empty means the body's hash
}

// Outcome is what became of a notice.
type Outcome string

// The outcomes.
const (
	Accepted   Outcome = "accepted"
	Duplicate  Outcome = "duplicate"
	Unverified Outcome = "unverified"
	Rejected   Outcome = "rejected" // authentic, but we do not want this payment
	Broken     Outcome = "broken"   // we failed; ask again
)
