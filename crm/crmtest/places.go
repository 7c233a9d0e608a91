package crmtest

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/crm"
)

// ownFields lists the customer's fields, before Setup and after it the same: ours are not among them.
func ownFields(t *testing.T, f Fixture) {
	for name, account := range map[string]crm.Account{"before Setup": f.Open(nil), "after Setup": ready(t, f.Site)} {
		all, err := account.(crm.FieldsReader).Fields(t.Context())
		require.NoError(t, err)
		require.Equal(t, f.Own, all, name)
	}
}

// places writes values of one pipeline to the customer's fields of every type, and those of others to ours.
func places(t *testing.T, f Fixture) {
	layout, err := f.Open(nil).Setup(t.Context())
	require.NoError(t, err)
	here := map[string]crm.Place{"outstanding": {Field: crm.Nowhere}, "link": {Field: crm.Nowhere}}
	shown := map[string]func(crm.State) string{}
	for kind, v := range map[crm.FieldType]struct {
		key  string
		text func(crm.State) string
	}{
		crm.TextField:     {"status", func(s crm.State) string { return s.Text("status", "en") }},
		crm.MoneyField:    {"paid", func(s crm.State) string { return amount(s.Paid) }},
		crm.NumberField:   {"refunded", func(s crm.State) string { return s.Refunded.Decimal }},
		crm.LinkField:     {"link", func(s crm.State) string { return s.Link }},
		crm.DateTimeField: {"paid_at", func(s crm.State) string { return moment(s.PaidAt) }},
		crm.DateField:     {"refunded_at", func(s crm.State) string { return moment(s.RefundedAt)[:min(10, len(moment(s.RefundedAt)))] }},
	} {
		if at := slices.IndexFunc(f.Own, func(o crm.Field) bool { return o.Type == kind }); at >= 0 {
			require.True(t, f.Own[at].Fits(v.key))
			here[v.key], shown[f.Own[at].ID] = crm.Place{Field: f.Own[at].ID, Type: kind}, v.text
		}
	}
	account := f.Open(layout, crm.Places{f.Move[0].Pipeline: here})
	s := full()
	s.Pipeline = f.Move[0].Pipeline
	for _, s := range []crm.State{s, s, {Status: crm.Paid, Pipeline: s.Pipeline}, {Pipeline: s.Pipeline}, s} {
		write(t, account, f.Deals[0], s)
		view := f.View(f.Deals[0])
		for id, text := range shown {
			require.Equal(t, text(s), view.Own[id])
		}
		ours := neutral(s)
		for key := range here {
			require.Empty(t, view.Fields[key], "%s is elsewhere", key)
			delete(ours, key)
		}
		require.Equal(t, filled(ours), filled(view.Fields))
		requireRead(t, account, f.Deals[0], s, here)
	}
	other := full()
	other.Pipeline = f.Move[1].Pipeline
	write(t, account, f.Deals[1], other)
	require.Equal(t, neutral(other), filled(f.View(f.Deals[1]).Fields))
	require.Empty(t, f.View(f.Deals[1]).Own)

	lost := crm.Places{f.Move[0].Pipeline: {"status": {Field: f.Lost, Type: crm.TextField}}}
	got := f.Open(layout, lost).Apply(t.Context(), []crm.Change{{Deal: f.Deals[2], State: &s}, {Deal: f.Deals[1], State: &other}})
	requireClass(t, crm.Refused, got[0].Err)
	require.NoError(t, got[1].Err, "another pipeline's deal is written")
}

// requireRead checks that what was written is read back, by one deal and by many. Nothing is read of what is nowhere, and no
// day has an hour.
func requireRead(t *testing.T, account crm.Account, id string, s crm.State, at map[string]crm.Place) {
	t.Helper()
	one, err := account.Deal(t.Context(), id)
	require.NoError(t, err)
	many, err := account.(crm.DealsReader).Deals(t.Context(), []string{id})
	require.NoError(t, err)
	for _, read := range []crm.State{one.Written, many[id].Written} {
		want, got := neutral(s), neutral(read)
		for key, p := range at {
			switch p.Type {
			case crm.NumberField:
				require.Equal(t, strings.TrimRight(s.Amount(key).Decimal, "0"), strings.TrimRight(read.Amount(key).Decimal, "0"), "a number drops zeros")
				delete(want, key)
				delete(got, key)
			case crm.DateField:
				delete(want, key)
				delete(got, key)
			}
			if p.Field == crm.Nowhere {
				delete(want, key)
			}
		}
		require.Equal(t, want, got)
	}
}
