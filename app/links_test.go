package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dealpay/dealpay/widgets/api"
	"github.com/stretchr/testify/require"
)

// closed requires that pressing Pay leads back to the page, which says why.
func (a *account) closed(in api.Invoice, state string) {
	a.Helper()
	got := a.send(http.MethodPost, in.Url+"/pay", "", "Content-Type", "application/x-www-form-urlencoded")
	require.Equal(a, http.StatusSeeOther, got.Status)
	require.True(a, strings.HasSuffix(in.Url, got.Header.Get("Location")), got.Header.Get("Location"))
	page := string(a.send(http.MethodGet, in.Url, nil).Body)
	require.Contains(a, page, `data-state="`+state+`"`)
	require.NotContains(a, page, "<form", "nothing to press")
	require.Empty(a, a.books(in))
}

func TestALinkTakesMoneyWhileItIsOpen(t *testing.T) {
	t.Parallel()
	sideBySide(t, newScene(t), []story{
		{"deposit and remainder are one balance", func(a *account, deal string) {
			deposit := a.owes(deal)
			rest := a.create(deal) // what the deal still lacks
			whole := deposit.Amount.Minor + rest.Amount.Minor
			a.pays(a.press(deposit), "paid", 1)
			a.becomes(deposit, "paid")
			half := a.balance(deal)
			require.Equal(a, [4]int64{whole, owed, 0, rest.Amount.Minor},
				[4]int64{half.Due.Minor, half.Paid.Minor, half.Refunded.Minor, half.Outstanding.Minor})
			card := a.deal(deal)
			require.Equal(a, []string{"awaiting_payment", "20000.00", rest.Url}, []string{card.field("status"), card.field("paid"), card.field("link")})
			require.NotEqual(a, a.won(), card.Stage, "a deposit wins nothing")
			a.pays(a.press(rest), "paid", 1)
			a.becomes(rest, "paid")
			card = a.deal(deal)
			require.Equal(a, []string{"paid", a.won()}, []string{card.field("status"), card.Stage})
			require.Len(a, card.Notes, 2)
			refused(a.scene, http.StatusUnprocessableEntity, "deal_amount_unusable",
				a.api(http.MethodPost, "/invoices", map[string]any{"deal_id": deal}, once()...))
		}},
		{"its time is over", func(a *account, deal string) {
			in := a.owes(deal, map[string]any{"expires_at": a.clock.Now().Add(1200 * time.Millisecond)})
			a.becomes(in, "expired")
			a.closed(in, "expired")
			card := a.deal(deal)
			require.Equal(a, "expired", card.field("status"))
			require.Len(a, card.notes(in), 1)
			refused(a.scene, http.StatusConflict, "expired", a.api(http.MethodPost, "/invoices/"+in.Id+"/send", map[string]any{"channel": "copy"}))
		}},
		{"it was cancelled", func(a *account, deal string) {
			in := a.owes(deal)
			a.act(in, "cancel", nil)
			a.becomes(in, "cancelled")
			a.closed(in, "cancelled")
			require.Zero(a, a.balance(deal).Due.Minor)
			require.Equal(a, "cancelled", string(a.act(in, "cancel", nil).Status), "twice is once")
			again := a.owes(deal)
			a.pays(a.press(again), "paid", 1)
			a.becomes(again, "paid")
		}},
		{"it was paid at the desk", func(a *account, deal string) {
			in := a.owes(deal)
			a.receive(in, owed)
			a.becomes(in, "paid")
			a.closed(in, "paid")
			card := a.deal(deal)
			require.Equal(a, []string{"paid", a.won()}, []string{card.field("status"), card.Stage})
			require.Len(a, card.notes(in), 1)
		}},
		{"another amount is asked for after a part was paid", func(a *account, deal string) {
			in := a.owes(deal)
			a.receive(in, owed/4)
			payment := a.pays(a.press(in), "paid", 1)
			require.Equal(a, int64(owed-owed/4), payment.Captured)
			a.becomes(in, "paid")
			require.Empty(a, a.exceptions(deal))
		}},
	})
}

func TestTheCustomerDoesNotChooseWhatIsPaid(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for _, a := range s.accounts {
		in := a.owes("1")
		chosen := "amount=1&minor=1&currency=USD&tenant=" + s.accounts["kommo"].ID + "&invoice=other&acquirer=stripe&paid=true"
		got := a.send(http.MethodPost, in.Url+"/pay?"+chosen, chosen, "Content-Type", "application/x-www-form-urlencoded")
		require.Equal(t, http.StatusSeeOther, got.Status)
		require.Len(t, a.books(in), 1)
		require.Equal(t, [2]any{in.Amount.Minor, in.Amount.Currency}, [2]any{a.books(in)[0].Amount, a.books(in)[0].Currency})
		require.Equal(t, "vpos_am", a.get(in.Id).Attempts[0].Acquirer)
	}
}
