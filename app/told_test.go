package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/widgets/api"
	"github.com/stretchr/testify/require"
)

func TestWhatWasPaidBeyondAllThatWasAskedIsSaid(t *testing.T) {
	t.Parallel()
	everywhere(t, newScene(t), func(a *account) {
		in := a.owes("1")
		checkout := a.press(in)
		a.receive(in, owed)
		require.Nil(a, a.balance("1").Overpaid)
		a.pays(checkout, "paid", 1)
		a.becomes(in, "manual_review")
		require.Equal(a, http.StatusOK, a.resolve(a.exceptions("1")[0], "accept").Status)
		a.becomes(in, "paid")
		deal := a.balance("1")
		require.Equal(a, [3]int64{owed, 2 * owed, 0}, [3]int64{deal.Due.Minor, deal.Paid.Minor, deal.Outstanding.Minor})
		require.Equal(a, &api.Money{Minor: owed, Currency: "AMD"}, deal.Overpaid)
		me := a.with(a.session("1", crm.System(a.CRM), "manager"))
		card := want[api.Card](a.scene, http.StatusOK, me.api(http.MethodGet, "/card", nil))
		require.Equal(a, deal.Overpaid, card.Deal.Overpaid)

		require.Equal(a, "paid", string(a.receive(a.owes("2"), owed+500).Invoice.Status))
		require.Equal(a, &api.Money{Minor: 500, Currency: "AMD"}, a.balance("2").Overpaid, "also what a person received")
	})
}

func TestANewLinkIsNamedByTheDealsTitleWhereTheTenantChoseSo(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	a := s.accounts[crm.Bitrix24]
	var made struct {
		ID string `json:"id"`
	}
	require.NoError(t, json.Unmarshal(s.order(a.Account, "add", map[string]any{"fields": map[string]any{"TITLE": " Kitchen,\n oak ", "OPPORTUNITY": "70000", "CURRENCY_ID": "AMD"}}), &made))
	plain := want[api.Invoice](s, http.StatusCreated, a.api(http.MethodPost, "/invoices", map[string]any{"deal_id": made.ID}, once()...))
	require.NotContains(t, plain.Purpose, "Kitchen", "a title may hold private words")
	require.Contains(t, plain.Purpose, made.ID)
	kept := want[api.PaymentSettings](s, http.StatusOK, a.api(http.MethodGet, "/settings/payments", nil))
	kept.DealTitle = true
	require.True(t, want[api.PaymentSettings](s, http.StatusOK, a.api(http.MethodPut, "/settings/payments", kept)).DealTitle)
	named := want[api.Invoice](s, http.StatusCreated, a.api(http.MethodPost, "/invoices", map[string]any{"deal_id": made.ID, "amount": map[string]any{"minor": 700, "currency": "AMD"}}, once()...))
	require.Equal(t, "Kitchen, oak", named.Purpose)
	require.Contains(t, string(s.send(http.MethodGet, named.Url, nil).Body), "Kitchen, oak")
}

func TestAFactAndTheTrailNameTheRequestThatCausedThem(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	a := s.accounts[crm.Kommo]
	in := a.owes("1")
	of := func(action string) [2]string {
		return [2]string{a.text(`SELECT coalesce(max(request_id), '') FROM audit WHERE invoice_id = $1 AND action = $2`, in.Id, action),
			a.text(`SELECT coalesce(max(evidence->>'request_id'), '') FROM audit WHERE invoice_id = $1 AND action = $2`, in.Id, action)}
	}
	fact := func(where string) string {
		return a.text(`SELECT coalesce(max(evidence->>'request_id'), '') FROM facts WHERE invoice_id = $1 AND `+where, in.Id)
	}
	pressed := s.send(http.MethodPost, in.Url+"/pay", url.Values{}.Encode(), "Content-Type", "application/x-www-form-urlencoded", "X-Request-Id", "pressed-1")
	require.Equal(t, http.StatusSeeOther, pressed.Status)
	require.Equal(t, "pressed-1", fact(`kind = 'started'`))
	require.Equal(t, [2]string{"pressed-1", "pressed-1"}, of("attempt.started"))
	s.pays(pressed.Header.Get("Location"), "paid", 0)
	require.Equal(t, http.StatusOK, a.api(http.MethodPost, "/invoices/"+in.Id+"/check", nil, "X-Request-Id", "checked-2").Status)
	a.becomes(in, "paid")
	require.Equal(t, "checked-2", fact(`status = 'paid'`))
	require.Equal(t, [2]string{"checked-2", "checked-2"}, of("attempt.paid"))
}

// An e-mail without an address goes to the customer whom the CRM names; without one there it would be refused.
func TestAnEmailGoesToTheDealsCustomer(t *testing.T) {
	t.Parallel()
	everywhere(t, newScene(t), func(a *account) {
		in := a.act(a.create("3"), "send", map[string]any{"channel": "email"})
		require.Len(a, in.Sends, 1)
		require.Equal(a, "email", in.Sends[0].Channel)
	})
}
