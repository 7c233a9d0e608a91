package payments_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/ameria"
	"github.com/dealpay/dealpay/payments/arca"
	"github.com/dealpay/dealpay/payments/fastshift"
	"github.com/dealpay/dealpay/payments/providertest"
	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/payments/stripe"
	"github.com/dealpay/dealpay/payments/telcell"
	"github.com/dealpay/dealpay/payments/tilltest"
	"github.com/dealpay/dealpay/payments/vposam"
	"github.com/dealpay/dealpay/tenants"
	"github.com/stretchr/testify/require"
)

func TestAStatusThatIsNotDocumentedIsNeverGuessed(t *testing.T) {
	const id = "00000000-0000-4000-8000-000000000001"
	for key, c := range map[string]struct {
		provider payments.Provider
		answers  []string
	}{
		ameria.Key: {ameria.New(ameria.Config{}), []string{`{"ResponseCode":"00","OrderStatus":"9"}`, `{"ResponseCode":"00","OrderStatus":"two"}`,
			`{"ResponseCode":"00","OrderStatus":""}`}},
		arca.Key:      {arca.New(arca.Config{}), []string{`{"errorCode":"0","orderStatus":9}`, `{"errorCode":"0","orderStatus":"two"}`}},
		telcell.Key:   {telcell.New(telcell.Config{}), []string{"invoice=1\nstatus=SOMETHING\nsum=10\ncurrency=51\nchecksum=0\n"}},
		fastshift.Key: {fastshift.New(fastshift.Config{}), []string{`{"status":"OK","data":{"order":{"order_number":"` + id + `","status":"something","amount":10}}}`}},
		stripe.Key:    {stripe.New(stripe.Config{}), []string{`{"id":"cs_1","client_reference_id":"` + id + `","status":"complete","payment_status":"something"}`}},
		vposam.Key:    {vposam.New(vposam.Config{}), []string{`{"id":"1","status":"something"}`}},
	} {
		for _, answer := range c.answers {
			conn := payments.Connection{HTTP: providertest.Answer(http.StatusOK, answer), Credentials: map[string]string{"gateway": "ipay-test", "issuer": "shop"}}
			seen, err := c.provider.Look(t.Context(), conn, payments.Order{Attempt: id, Reference: "DP-1-1", Number: 1, ProviderRef: "1"})
			if key == fastshift.Key {
				seen, err = c.provider.Look(t.Context(), conn, payments.Order{Attempt: id, Reference: "DP-1-1", ProviderRef: id})
			}
			require.ErrorIs(t, err, payments.ErrUnclear, "%s %s", key, answer)
			require.ErrorIs(t, err, payments.ErrNothingNew, "it moves nothing")
			require.Empty(t, seen.Status)
		}
	}
}

// puzzle is a till whose answers nobody can read.
type puzzle struct{ *tilltest.Till }

func (puzzle) Look(context.Context, payments.Connection, payments.Order) (payments.Observation, error) {
	return payments.Observation{Code: "9", Raw: []byte(`{"OrderStatus":"9"}`)}, payments.ErrUnclear
}

func TestAnAnswerThatCannotBeReadNeedsAPersonAndMovesNothing(t *testing.T) {
	s := newShop(t)
	in := s.Invoice("1", 30_000)
	a := s.Try(in)
	s.Providers["till"] = puzzle{s.Till}
	for range 3 {
		s.learnAgain(a)
	}
	require.Equal(t, state.AwaitingPayment, s.Read(in.ID).Status)
	require.Equal(t, []string{payments.AnswerUnclear}, s.exceptions())
	require.Equal(t, []string{"task:answer_unclear"}, s.planned("1"))
	s.In(func(ctx context.Context, tx *tenants.Tx) error {
		var kept string
		require.NoError(t, tx.QueryRow(ctx, `SELECT evidence->'answer'->>'OrderStatus' FROM audit WHERE action = 'answer.unclear'`).Scan(&kept))
		require.Equal(t, "9", kept, "the answer is kept")
		return nil
	})
	s.Providers["till"] = s.Till
	s.Learn(a, tilltest.Took(tilltest.AMD(30_000)))
	require.Equal(t, state.Paid, s.Read(in.ID).Status)
	require.Empty(t, s.exceptions(), "it ends with an answer that can be read")
}

func TestOurOwnClockDoesNotAnswerWhatCouldNotBeRead(t *testing.T) {
	s := newShop(t)
	a := s.Try(s.Invoice("1", 30_000))
	s.Providers["till"] = puzzle{s.Till}
	s.learnAgain(a)
	s.Clock = s.Clock.Add(8 * 24 * time.Hour)
	s.learnAgain(a)
	require.Equal(t, []string{payments.AnswerUnclear}, s.exceptions())
}
