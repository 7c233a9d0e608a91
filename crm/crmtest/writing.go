package crmtest

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/crm"
)

func ptr[T any](v T) *T { return &v }

// full is a state with every field filled.
func full() crm.State {
	amount := func(decimal string) crm.Money { return crm.Money{Decimal: decimal, Currency: "AMD"} }
	return crm.State{Status: crm.PartiallyRefunded, Paid: amount("150000.00"), Refunded: amount("2500.50"),
		Outstanding: amount("0.00"), Link: "https://pay.example.com/p/abc?x=1&y=%D5%A1", Reference: "REF \"1\" & <2>",
		PaidAt:     time.Date(2026, 11, 24, 3, 0, 59, 0, time.UTC),
		RefundedAt: time.Date(2026, 11, 25, 23, 59, 1, 0, time.UTC)}
}

// neutral is a state in the words of View.Fields, without what is empty.
func neutral(s crm.State) map[string]string {
	all := map[string]string{"status": string(s.Status), "paid": amount(s.Paid), "refunded": amount(s.Refunded),
		"outstanding": amount(s.Outstanding), "link": s.Link, "paid_at": moment(s.PaidAt),
		"refunded_at": moment(s.RefundedAt), "reference": s.Reference}
	return filled(all)
}

func shown(v View) map[string]string { return filled(v.Fields) }

func filled(m map[string]string) map[string]string {
	m = maps.Clone(m)
	maps.DeleteFunc(m, func(_, v string) bool { return v == "" })
	return m
}

func amount(m crm.Money) string {
	if m.Decimal == "" {
		return ""
	}
	return m.Decimal + " " + m.Currency
}

func moment(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.RFC3339)
}

func requireDone(t *testing.T, got []crm.Verdict, n int) {
	t.Helper()
	require.Len(t, got, n)
	for i, v := range got {
		require.NoError(t, v.Err, "change %d", i)
	}
}

func write(t *testing.T, account crm.Account, deal string, s crm.State) {
	t.Helper()
	requireDone(t, account.Apply(t.Context(), []crm.Change{{Deal: deal, State: &s}}), 1)
}

// requireWritten checks the stand-in's picture, and that the adapter reads back what it wrote.
func requireWritten(t *testing.T, f Fixture, account crm.Account, deal string, s crm.State) {
	t.Helper()
	require.Equal(t, neutral(s), shown(f.View(deal)))
	read, err := account.Deal(t.Context(), deal)
	require.NoError(t, err)
	require.Equal(t, neutral(s), neutral(read.Written))
}

func fields(t *testing.T, f Fixture) {
	account := ready(t, f.Site)
	before := f.View(f.Deals[0]).Place
	half := crm.State{Status: crm.AwaitingPayment, Outstanding: crm.Money{Decimal: "100.00", Currency: "AMD"}}
	for _, s := range []crm.State{full(), full(), half, full(), {}, {}} {
		write(t, account, f.Deals[0], s)
		requireWritten(t, f, account, f.Deals[0], s)
	}
	require.Equal(t, before, f.View(f.Deals[0]).Place, "an empty stage leaves the stage alone")
	require.Empty(t, f.View(f.Deals[0]).Notes)
	require.Empty(t, account.Apply(t.Context(), nil))
}

func vocabulary(t *testing.T, f Fixture) {
	account := ready(t, f.Site)
	for _, status := range crm.Statuses {
		s := crm.State{Status: status}
		write(t, account, f.Deals[0], s)
		requireWritten(t, f, account, f.Deals[0], s)
	}
	for _, paid := range []crm.Money{{Decimal: "0.01", Currency: "AMD"}, {Decimal: "9999999999.99", Currency: "RUB"},
		{Decimal: "1.10", Currency: "USD"}, {Decimal: "20.00", Currency: "EUR"}, {Decimal: "3.30", Currency: "KZT"},
		{Decimal: "7.05", Currency: "GEL"}, {Decimal: "1500", Currency: "JPY"}, {Decimal: "1.005", Currency: "KWD"}} {
		s := crm.State{Status: crm.Paid, Paid: paid}
		write(t, account, f.Deals[0], s)
		requireWritten(t, f, account, f.Deals[0], s)
	}
}

func stage(t *testing.T, f Fixture) {
	account := ready(t, f.Site)
	for _, to := range f.Move {
		s := full()
		s.Pipeline, s.Stage = to.Pipeline, to.Stage
		write(t, account, f.Deals[0], s)
		require.Equal(t, to, f.View(f.Deals[0]).Place)
		requireWritten(t, f, account, f.Deals[0], s)
		deal, err := account.Deal(t.Context(), f.Deals[0])
		require.NoError(t, err)
		require.Equal(t, to, Place{deal.Pipeline, deal.Stage})
		require.Equal(t, to, Place{deal.Written.Pipeline, deal.Written.Stage})
	}
	s := full()
	s.Stage = "NO_SUCH_STAGE"
	got := account.Apply(t.Context(), []crm.Change{{Deal: f.Deals[1], State: &s}, {Deal: f.Deals[2], State: ptr(full())}})
	require.Len(t, got, 2)
	requireClass(t, crm.Refused, got[0].Err)
	require.NoError(t, got[1].Err)
}

func verdicts(t *testing.T, f Fixture) {
	account := ready(t, f.Site)
	second := full()
	second.Status, second.Reference = crm.Refunded, "second"
	got := account.Apply(t.Context(), []crm.Change{
		{Deal: f.Deals[0], State: ptr(full())},
		{Deal: f.Gone, State: ptr(full())},
		{Deal: f.Deals[1], Effect: &crm.Effect{Kind: crm.Note, Reference: "DP-V1", Text: "first DP-V1"}},
		{Deal: f.Gone, Effect: &crm.Effect{Kind: crm.Note, Reference: "DP-V2", Text: "lost DP-V2"}},
		{Deal: f.Gone, Effect: &crm.Effect{Kind: crm.Task, Reference: "DP-V3", Text: "lost DP-V3"}},
		{Deal: f.Deals[1], State: ptr(full())},
		{Deal: "no id", State: ptr(full())},
		{Deal: f.Deals[0], State: &second},
		{Deal: f.Deals[2], Effect: &crm.Effect{Kind: crm.Task, Reference: "DP-V4", Text: "do it DP-V4"}},
	})
	require.Len(t, got, 9)
	for _, i := range []int{0, 2, 5, 7, 8} {
		require.NoError(t, got[i].Err, "change %d", i)
	}
	for _, i := range []int{1, 3, 4, 6} {
		requireClass(t, crm.Gone, got[i].Err)
	}
	require.Equal(t, neutral(second), shown(f.View(f.Deals[0])), "changes of one deal keep their order")
	require.Equal(t, neutral(full()), shown(f.View(f.Deals[1])))
	requireOne(t, f.View(f.Deals[1]).Notes, "DP-V1", got[2].RemoteID)
	require.Len(t, f.View(f.Deals[2]).Tasks, 1)
	require.Equal(t, got[8].RemoteID, f.View(f.Deals[2]).Tasks[0].ID)
}

// many sends more than any CRM takes at once and expects few requests all the same.
func many(t *testing.T, f Fixture) {
	account := ready(t, f.Site)
	const n = 120
	changes := make([]crm.Change, 0, n)
	for i := range n {
		ref := fmt.Sprintf("DP-M%03d", i)
		s := full()
		s.Reference = ref
		change := crm.Change{Deal: f.Deals[i%3], State: &s}
		if i < n/2 {
			change.State, change.Effect = nil, &crm.Effect{Kind: crm.Note, Reference: ref, Text: "note " + ref}
		}
		changes = append(changes, change)
	}
	before := f.Calls()
	got := account.Apply(t.Context(), changes)
	requireDone(t, got, n)
	calls := f.Calls() - before
	require.GreaterOrEqual(t, calls, 2)
	require.LessOrEqual(t, calls, 12, "changes go together")
	for i := range 3 {
		view := f.View(f.Deals[i])
		require.Len(t, view.Notes, n/2/3)
		require.Equal(t, fmt.Sprintf("DP-M%03d", n-3+i), view.Fields["reference"], "the last word stands")
	}
	for i, v := range got[:n/2] {
		require.NotEmpty(t, v.RemoteID, "note %d", i)
	}
}
