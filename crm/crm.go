// Package crm is the port to the CRMs. An adapter (bitrix24, amo) implements
// [Account] and [Guard]; everything above speaks only of deals, states and
// effects. Adapters know no database: tokens, pacing and what an earlier
// Setup made are handed to them.
package crm

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// System names a CRM product, as it stands in the database and in the API.
type System string

// The systems.
const (
	Bitrix24 System = "bitrix24"
	AmoCRM   System = "amocrm"
	Kommo    System = "kommo"
)

// Money is an amount as CRMs write it: decimal text in major units ("150000.00") and an
// ISO 4217 alphabetic code. It never passes through a float.
type Money struct {
	Decimal  string `json:"decimal"`
	Currency string `json:"currency"`
}

// Account is one connected CRM account (portal). Methods are safe for concurrent use.
// Every error they return is an [*Error], so that callers decide by [Class] alone.
type Account interface {
	// Deal reads a deal with the account's own (administrator's) rights. A deleted or
	// unknown deal is Class Gone.
	Deal(ctx context.Context, id string) (Deal, error)
	// Pipelines lists the deal pipelines and their stages, in the CRM's order.
	Pipelines(ctx context.Context) ([]Pipeline, error)
	// Apply carries out changes in as few requests as the CRM allows and answers one
	// verdict per change, in the order of changes. A failure of one change does not stop
	// the others; a failure of the whole request is every verdict's error.
	Apply(ctx context.Context, changes []Change) []Verdict
	// Setup makes what is missing (fields, placements, event subscriptions) and repairs
	// drift. It is idempotent. The returned layout is kept by the caller and handed back
	// when the account is opened again.
	Setup(ctx context.Context) (Layout, error)
	// Leave removes what Setup registered and is safe to repeat. Fields with history stay.
	Leave(ctx context.Context) error
}

// UserReader is implemented by an account that can read a deal with the rights of one of
// its users. An error of Class Gone or Refused means that this user may not see the deal.
type UserReader interface {
	DealAs(ctx context.Context, userID, dealID string) (Deal, error)
}

// DealsReader is implemented by an account that reads many deals in few requests. Deals that are
// gone or hidden are left out, and contacts are not read.
type DealsReader interface {
	Deals(ctx context.Context, ids []string) (map[string]Deal, error)
}

// Layout is what Setup made, in the adapter's own JSON (field ids, option ids). The zero
// value means that Setup has not run.
type Layout = json.RawMessage

// Deal is a deal as the CRM holds it.
type Deal struct {
	ID       string
	Title    string
	Amount   Money // Decimal "" when the deal has no amount
	Pipeline string
	Stage    string
	Closed   bool // in a won or lost stage
	OwnerID  string
	Contact  Contact
	Written  State // what our fields hold now; Stage and Pipeline are as above
}

// Contact is the deal's main contact; empty strings when unknown.
type Contact struct {
	Name, Phone, Email string
	Key                string // how the CRM numbers it, such as "contact 15" or "company 3"; known also where the rest was not read
}

// Pipeline is a deal pipeline (funnel, category).
type Pipeline struct {
	ID     string  `json:"id"`
	Name   string  `json:"name"`
	Stages []Stage `json:"stages"`
}

// Stage is one stage of a pipeline.
type Stage struct {
	ID   string    `json:"id"`
	Name string    `json:"name"`
	Kind StageKind `json:"kind"`
}

// StageKind says what a stage means to the CRM.
type StageKind string

// The kinds of stages.
const (
	StageOpen StageKind = "open"
	StageWon  StageKind = "won"
	StageLost StageKind = "lost"
)

// State is what our fields in a deal should hold. Fields are always written whole; an
// empty value clears the field.
type State struct {
	Status      Status
	Paid        Money
	Refunded    Money
	Outstanding Money
	Link        string
	PaidAt      time.Time
	RefundedAt  time.Time
	Reference   string // the acquirer's reference of the newest payment
	Pipeline    string // pipeline of Stage; needed by CRMs whose stage ids repeat
	Stage       string // stage to move to; empty leaves the stage alone
}

// Change is one thing to do in a deal: write its fields, or cause one effect.
// Exactly one of State and Effect is set.
type Change struct {
	Deal   string
	State  *State
	Effect *Effect
}

// EffectKind names an effect that is not idempotent at the CRM.
type EffectKind string

// The effects.
const (
	Note      EffectKind = "note"       // a line in the deal's timeline
	Task      EffectKind = "task"       // a task for the deal's owner
	CloseTask EffectKind = "close_task" // completes the task RemoteID; idempotent
)

// Effect is a note or a task. Reference is short, unique and part of what the CRM stores,
// so that a repeated run can find it.
type Effect struct {
	Kind      EffectKind
	Reference string    // stored with the effect, such as "DP-4F2K9Q"
	Text      string    // plain text, newlines kept; of CloseTask: the result
	OwnerID   string    // who gets the task; empty means the deal's owner
	Due       time.Time // of a task
	RemoteID  string    // of CloseTask
	// Ambiguous says that an earlier run may have done it: look for Reference first and
	// answer the found id instead of doing it again.
	Ambiguous bool
}

// Verdict is the outcome of one change.
type Verdict struct {
	RemoteID string // of the note or task made or found
	Err      error  // nil, or an *Error
}

// Tokens hands out the account's access token.
type Tokens interface {
	// Token returns the current access token.
	Token(ctx context.Context) (string, error)
	// Refresh is called after the CRM refused the token as expired; it returns a newer
	// one. Concurrent callers cause one refresh. An *Error of Class Revoked means that a
	// person must reconnect.
	Refresh(ctx context.Context, refused string) (string, error)
}

// Opening is a request by which a CRM's page opens ours, read but not yet believed.
type Opening = *http.Request

// Guard turns an opening into a visitor, or refuses it with ErrForged.
type Guard interface {
	Visit(ctx context.Context, o Opening) (Visitor, error)
}

// Visitor is who opened our page, as the CRM itself confirmed it.
type Visitor struct {
	System     System
	AccountKey string // permanent key of the account: member_id, account_id
	Domain     string // current host of the account, checked against the allow-list
	UserID     string
	UserName   string
	Admin      bool
	Lang       string // BCP 47 primary tag, such as "ru"; empty when unknown
	Placement  string // Bitrix24's placement code; empty elsewhere
	DealID     string // empty when the page is not about a deal
	DealSeen   bool   // this user could read the deal; otherwise ask UserReader
	Grant      *Grant // tokens that came along (Bitrix24 openings); nil elsewhere
}

// Grant is a fresh token pair, with what is needed to use and refresh it.
type Grant struct {
	AccessToken  string
	RefreshToken string
	ExpiresAt    time.Time
	Endpoint     string // REST base of the account, with trailing slash
	AuthServer   string // token server, scheme and host; empty when it is the account's own host
	APIDomain    string // amoCRM, Kommo: shared API host read from the token
	AppToken     string // Bitrix24: application_token
	Scope        string
	UserID       string
}

// EventKind says what a CRM's webhook reports.
type EventKind string

// The kinds of events. An event proves nothing: it only causes a read.
const (
	DealChanged EventKind = "deal_changed"
	DealDeleted EventKind = "deal_deleted"
	Uninstalled EventKind = "uninstalled"
	AppChanged  EventKind = "app_changed" // installed, updated, paid for: look at app.info
)

// Event is one reported change, read but not believed.
type Event struct {
	Kind       EventKind
	AccountKey string
	AppToken   string // Bitrix24's shared secret, to be compared in constant time
	DealID     string
	Clean      bool // of Uninstalled: the user asked for removal of data
}

// The rules of a CRM's automation that an account may register. A code never changes: customers' schemes hold it.
const (
	RobotLink = "dealpay_link" // makes a payment link and answers it
	RobotWait = "dealpay_wait" // answers when the deal is paid, or will not be
)

// RobotCall is such a rule that came to work on a deal and waits for an answer; read but not believed.
type RobotCall struct {
	Code       string
	AccountKey string
	AppToken   string // Bitrix24's shared secret, to be compared in constant time
	DealID     string
	Token      string            // by which the rule is answered
	Properties map[string]string // what the rule was set up with; empty ones are left out
}

// RobotAnswerer is implemented by an account whose automation calls us. An error of Class Refused means that no rule
// waits under this token: it never did, or it was answered.
type RobotAnswerer interface {
	// LogRobot writes a line into the scheme's log. It proves that the CRM itself knows the token.
	LogRobot(ctx context.Context, token, line string) error
	// AnswerRobot lets the scheme go on with these values.
	AnswerRobot(ctx context.Context, token string, values map[string]string, line string) error
}
