package main

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/crm/amo/amotest"
	"github.com/dealpay/dealpay/widgets/api"
	"github.com/stretchr/testify/require"
)

// Places in each CRM: the first pipeline's stages for new and paid deals and for lost ones, and another pipeline's stage.
func (a *account) places() (pipeline, fresh, mapped, lost, other, elsewhere string) {
	if a.CRM == string(crm.Bitrix24) {
		return "0", "NEW", "PREPAYMENT_INVOICE", "LOSE", "1", "C1:NEW"
	}
	text := func(id int64) string { return strconv.FormatInt(id, 10) }
	return text(amotest.MainPipeline), text(amotest.StageNew), text(amotest.StageInvoice), "143", text(amotest.OtherPipeline), text(amotest.StageReturn)
}

// hand is what a manager does in the CRM itself.
func (a *account) handMoves(deal, pipeline, stage string) {
	a.Helper()
	if a.CRM == string(crm.Bitrix24) {
		a.order(a.Account, "move", map[string]any{"deal": deal, "stage": stage})
		return
	}
	a.order(a.Account, "leads/move", map[string]any{"lead": deal, "pipeline": pipeline, "status": stage})
}

func (a *account) handWrites(deal, status string) {
	a.Helper()
	if a.CRM == string(crm.Bitrix24) {
		a.order(a.Account, "edit", map[string]any{"deal": deal, "fields": map[string]any{"UF_CRM_DEAL_DEALPAY_STATUS": status}})
		return
	}
	a.order(a.Account, "leads/edit", map[string]any{"lead": deal, "fields": map[string]string{"DEALPAY_STATUS": status}})
}

// sets changes the settings.
func (a *account) sets(change func(*api.Settings)) {
	a.Helper()
	now := want[api.SettingsView](a.scene, http.StatusOK, a.api(http.MethodGet, "/settings", nil)).Settings
	change(&now)
	want[api.Settings](a.scene, http.StatusOK, a.api(http.MethodPut, "/settings", now))
}

// rests lets the echo of our own writes pass.
func (a *account) rests() {
	a.Helper()
	a.quiet()
	a.clock.Advance(11 * time.Second)
	a.quiet()
}

func (a *account) paidDeal(deal string) api.Invoice {
	a.Helper()
	in := a.create(deal)
	a.pays(a.press(in), "paid", 1)
	in = a.becomes(in, "paid")
	a.rests()
	require.Nil(a, a.get(in.Id).Sync.Overwritten, "our own echo is nobody's hand")
	return in
}

// shows waits until a deal's card says what was overwritten.
func (a *account) shows(in api.Invoice, repaired bool, what ...api.OverwrittenWhat) {
	a.Helper()
	var seen *api.Overwritten
	a.until("what was overwritten is shown", func() bool {
		seen = a.get(in.Id).Sync.Overwritten
		return seen != nil && seen.Repaired == repaired
	})
	require.Equal(a, what, seen.What)
	a.quiet()
}

func TestWhatPeopleOverwriteInTheCRMIsShownAndRepairedOrLeft(t *testing.T) {
	t.Parallel()
	everywhere(t, newScene(t), func(a *account) {
		pipeline, fresh, mapped, lost, _, _ := a.places()
		a.sets(func(s *api.Settings) { s.Stages = map[string]map[string]string{pipeline: {"paid": mapped}} })
		in := a.paidDeal("1")
		require.Equal(a, mapped, a.deal("1").Stage)

		a.handWrites("1", "cancelled")
		a.shows(in, true, "status")
		require.Equal(a, []any{"paid", mapped}, []any{a.deal("1").field("status"), a.deal("1").Stage}, "fields are repaired")
		a.rests()
		a.handMoves("1", pipeline, fresh)
		a.shows(in, false, "stage")
		require.Equal(a, fresh, a.deal("1").Stage, "stages are left")

		repair, leave := api.Repair("repair"), api.Repair("leave")
		a.sets(func(s *api.Settings) { s.OverwrittenFields, s.OverwrittenStage = &leave, &repair })
		a.sets(func(s *api.Settings) { s.OverwrittenFields, s.OverwrittenStage = nil, nil }) // as it was
		in = a.paidDeal("2")
		a.handWrites("2", "cancelled")
		a.shows(in, false, "status")
		require.Equal(a, "cancelled", a.deal("2").field("status"))
		a.handWrites("2", "paid")
		a.until("it is as it should be again", func() bool { return a.get(in.Id).Sync.Overwritten == nil })
		a.handMoves("2", pipeline, fresh)
		a.shows(in, true, "stage")
		require.Equal(a, mapped, a.deal("2").Stage)
		a.rests()
		a.handMoves("2", pipeline, lost)
		a.shows(in, false, "stage")
		require.Equal(a, lost, a.deal("2").Stage, "a closed deal is not moved")
		require.Len(a, a.deal("2").notes(in), 1)
		require.Empty(a, a.exceptions("2"))
	})
}

func TestADealInAnotherPipelineIsAnExceptionAndStaysThere(t *testing.T) {
	t.Parallel()
	everywhere(t, newScene(t), func(a *account) {
		pipeline, _, mapped, _, other, elsewhere := a.places()
		a.sets(func(s *api.Settings) { s.Stages = map[string]map[string]string{pipeline: {"paid": mapped}} })
		in := a.create("3")
		a.becomes(in, "awaiting_payment")
		a.rests()
		a.handMoves("3", other, elsewhere)
		a.until("a person is told", func() bool { return len(a.exceptions("3")) == 1 })
		a.pays(a.press(in), "paid", 1)
		in = a.becomes(in, "paid")
		a.rests()
		e := a.exceptions("3")
		require.Len(a, e, 1)
		require.Equal(a, "deal_moved", e[0].Kind)
		card := a.deal("3")
		require.Equal(a, []any{"paid", elsewhere}, []any{card.field("status"), card.Stage})
		require.Len(a, card.notes(in), 1)
		writes := a.number(`SELECT count(*) FROM outbox WHERE kind = 'push' AND key = '3'`)
		a.rests()
		require.Equal(a, writes, a.number(`SELECT count(*) FROM outbox WHERE kind = 'push' AND key = '3'`), "nothing goes round")

		won := a.won()
		if a.CRM == string(crm.Bitrix24) {
			won = "C1:WON"
		}
		a.sets(func(s *api.Settings) { s.Stages[other] = map[string]string{"paid": won} })
		require.Equal(a, http.StatusOK, a.resolve(e[0], "retry").Status)
		a.until("it is moved there", func() bool { return a.deal("3").Stage != elsewhere })
		a.quiet()
		require.Empty(a, a.exceptions("3"))
		require.Len(a, a.deal("3").notes(in), 1)
	})
}

// Of two deals that are merged one is gone and the other holds the values of both: the first needs a person, the second is
// written as it should be, its history once, and nothing goes round.
func TestMergedDealsAreAnExceptionAndTheOtherSaysWhatIsItsOwn(t *testing.T) {
	t.Parallel()
	everywhere(t, newScene(t), func(a *account) {
		paid, open := a.owes("6"), a.owes("7")
		a.pays(a.press(paid), "paid", 1)
		a.becomes(paid, "paid")
		a.rests()
		notes := len(a.deal("6").notes(paid))
		require.Equal(a, 1, notes)
		if a.CRM == string(crm.Bitrix24) {
			a.order(a.Account, "merge", map[string]any{"deal": "6", "into": "7"})
		} else {
			a.order(a.Account, "leads/merge", map[string]any{"lead": 6, "into": 7})
		}
		a.until("a person is told", func() bool { return len(a.exceptions("6")) == 1 })
		a.rests()
		e := a.exceptions("6")
		require.Len(a, e, 1)
		require.Equal(a, "deal_gone", e[0].Kind)
		require.Equal(a, []string{"move", "dismiss"}, e[0].Decisions)
		require.Empty(a, a.exceptions("7"))
		card := a.deal("7")
		require.Equal(a, "awaiting_payment", card.field("status"), "not what the other one was")
		require.Len(a, card.notes(paid), notes, "its history came over once")
		require.Equal(a, int64(0), a.balance("7").Paid.Minor, "nobody has said yet whose money it is")

		moved := a.api(http.MethodPost, "/exceptions/"+e[0].Id+"/resolve", map[string]any{"decision": "move", "reason": "Merged into deal 7", "invoice": open.Number})
		require.Equal(a, http.StatusOK, moved.Status, string(moved.Body))
		a.until("the other deal says what came", func() bool { return a.deal("7").field("status") == "paid" })
		a.rests()
		require.Equal(a, paid.Amount.Minor, a.balance("7").Paid.Minor)
		require.Empty(a, append(a.exceptions("6"), a.exceptions("7")...))
		pushes := func() int {
			return a.number(`SELECT coalesce(sum(seq), 0) FROM outbox WHERE kind IN ('push', 'review') AND key IN ('6', '7')`)
		}
		before := pushes()
		a.rests()
		require.Equal(a, before, pushes(), "nothing goes round")
	})
}

// The third clock of a card: late, for a reason, with the next try, and tried at once when somebody asks.
func TestALateCardIsTriedWhenSomebodyChecks(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	late := map[*account]api.Invoice{}
	for _, a := range s.accounts {
		in := a.create("4")
		a.becomes(in, "awaiting_payment")
		a.down()
		a.pays(a.press(in), "paid", 1)
		a.until("it failed", func() bool { return a.get(in.Id).Sync.Reason == "transient" })
		late[a] = in
	}
	s.clock.Advance(16 * time.Minute)
	for a, in := range late {
		a.until("it is tried hourly", func() bool {
			next := a.get(in.Id).Sync.NextTryAt
			return next != nil && next.Sub(a.clock.Now()) > 50*time.Minute
		})
		a.up()
		a.act(in, "check", nil)
		a.becomes(in, "paid")
		outcomes := map[string]bool{}
		for _, c := range want[api.SettingsView](s, http.StatusOK, a.api(http.MethodGet, "/settings", nil)).Health.LastCalls {
			outcomes[c.Outcome] = true
		}
		require.Equal(t, map[string]bool{"ok": true, "transient": true}, outcomes)
	}
}
