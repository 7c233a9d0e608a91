// Package crmtest is the suite that every crm.Account passes against its own
// stand-in: what is above the port may rely on what is proved here.
package crmtest

import (
	"testing"
	"time"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/tenants/standintest"
)

// Fixture is one freshly started stand-in with two accounts on it. Setup has run in neither.
type Fixture struct {
	Site
	// Other is a second account whose deals have the same ids.
	Other Site

	// Deals are ids of deals that exist, at least three; Known is what Deal answers for the first.
	Deals []string
	Known crm.Deal
	// Gone is a deal id, as the CRM would write it, that is not there.
	Gone string
	// Move are two stages that the first deal is not in; a deal may go to either.
	Move [2]Place
	// Manager may see the deals, Outsider may not; used with a crm.UserReader only.
	Manager, Outsider string
	// NoteCall and TaskCall are what a fault's Match names the request by which a note or a task is made.
	NoteCall, TaskCall string
	// RetryAfter is what a throttled answer of the stand-in asks for; 0 when the protocol has no such word.
	RetryAfter time.Duration
	// Own are the customer's own fields of deals, one of each type that the CRM has.
	Own []crm.Field
	// Lost is the id of a field as the CRM would write it, that is not there.
	Lost string
	// Shuts says that an HTML 403 is this CRM's word for having shut us out; elsewhere it is some proxy's trouble.
	Shuts bool
}

// Place is a stage of a pipeline.
type Place struct{ Pipeline, Stage string }

// Site is one account on a stand-in.
type Site struct {
	// Open connects to the account with what an earlier Setup made, nil for nothing. Languages are English, days those of UTC.
	Open func(layout crm.Layout, places ...crm.Places) crm.Account
	// Tokens and Pacer are the ones that Open hands to the adapter.
	Tokens *Tokens
	Pacer  *Pacer
	// Control orders faults at this account.
	Control *standintest.Control
	// Calls counts the protocol requests that the account received so far, token requests left out.
	Calls func() int
	// View is the stand-in's own picture of a deal.
	View func(deal string) View
	// Registered lists what Setup registers beside fields (placements, webhooks), in any order.
	Registered func() []string
	// Drift takes away, behind the adapter's back, at least one field and one registration.
	Drift func()
	// Expire lets the access token run out; the refresh token stays good.
	Expire func()
}

// View is a deal in the stand-in, in words that are the same for every CRM.
type View struct {
	// Fields holds our fields by the keys of crm.FieldKeys: the status as crm.Status, amounts as "150000.00 AMD",
	// times as RFC 3339 in UTC to the second. A cleared or missing field is "" or absent.
	Fields map[string]string
	// Own holds the customer's own fields by id, in the same words; a field of days only the day.
	Own   map[string]string
	Place Place
	Notes []Note
	Tasks []Task
}

// Note is a note in the stand-in.
type Note struct{ ID, Text string }

// Task is a task in the stand-in; Text is title and description together.
type Task struct {
	ID, Text, OwnerID string
	Done              bool
}

// Run proves that what open connects keeps the promises of crm.Account. open is called once per test.
func Run(t *testing.T, open func(t *testing.T) Fixture) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, Fixture)
	}{
		{"SetupIsIdempotentAndRepairsDrift", setup},
		{"LeaveRemovesRegistrationsAndMayBeRepeated", leave},
		{"DealIsReadWhole", dealRead},
		{"ManyDealsAreReadAtOnce", dealsRead},
		{"UnknownDealIsGone", dealGone},
		{"PipelinesAreInOrder", pipelines},
		{"UsersSeeOnlyTheirDeals", dealAs},
		{"FieldsAreWrittenWholeAndCleared", fields},
		{"FieldsOfTheCustomerAreListed", ownFields},
		{"ValuesGoWhereThePipelineHasThem", places},
		{"EveryStatusAndCurrencyIsWritten", vocabulary},
		{"StageMoves", stage},
		{"VerdictsComeInOrderAndDealsFailAlone", verdicts},
		{"NotesAndTasksCarryTheReference", effects},
		{"TasksAreClosedOnce", closing},
		{"AnAmbiguousEffectIsDoneOnce", ambiguous},
		{"ManyChangesAreSplit", many},
		{"ThrottledIsLater", throttled},
		{"ServerTroubleIsTransient", down},
		{"ABlockIsToldToThePacer", blocked},
		{"AnExpiredTokenIsRefreshedOnce", expired},
		{"ALostAccountIsRevoked", revoked},
		{"EveryRequestIsPaced", paced},
		{"ARepeatedRequestIsPacedAgain", repeated},
		{"AnImpatientPacerStopsTheWork", impatient},
		{"AccountsAreIsolated", isolated},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}
