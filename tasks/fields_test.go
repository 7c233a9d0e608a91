package tasks_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/tenants"
)

// maps says where values go in pipeline "1"; in "0" all go to our own fields.
func (h *house) maps(fields map[string]string) {
	h.Helper()
	h.in(func(ctx context.Context, tx *tenants.Tx) error {
		return tx.SetSettings(ctx, tenants.Settings{Fields: map[string]map[string]string{"1": fields}, FieldTypes: map[string]string{"SUM": "number"}}, tenants.Operator)
	})
}

// puts moves deals to another pipeline by hand.
func (h *house) puts(pipeline string, deals ...string) {
	h.book.mu.Lock()
	for _, deal := range deals {
		h.book.moved[deal] = pipeline
	}
	h.book.mu.Unlock()
}

// written is in which pipeline's fields a deal was last written.
func (h *house) written(deal string) string {
	h.book.mu.Lock()
	defer h.book.mu.Unlock()
	return h.book.fields[deal].Pipeline
}

func TestFieldsThatDifferByPipelineCostOneReadForABatchAndNothingWhereNobodyUsesThem(t *testing.T) {
	h := newHouse(t)
	other := h.tenant("other")
	h.maps(map[string]string{"status": "TEXT"})
	h.puts("1", deals(100)...)
	h.pay(deals(200)...)
	h.lane()
	calls, writes, reads := h.book.counts()
	require.Equal(t, []int{4, 200, 1}, []int{calls, writes, reads}, "batches stay batches")
	require.Equal(t, []string{"1", "0"}, []string{h.written("100"), h.written("101")})
	for i := range 200 {
		require.Equal(t, 1, h.book.noted(strconv.Itoa(i+1)))
	}

	h.puts("1", "101") // and its event is lost
	h.pay("101")
	h.lane()
	require.Equal(t, "1", h.written("101"), "it is read before every write")

	_, _, before := h.book.counts()
	for i := range 50 {
		h.payOf(other, "other "+strconv.Itoa(i))
	}
	require.NoError(t, h.worker().Lane(context.WithoutCancel(t.Context()), other))
	_, _, reads = h.book.counts()
	require.Equal(t, before, reads, "a tenant without such fields reads nothing")
	require.Equal(t, []string{"", "1"}, []string{h.written("other 1"), h.written("1")})
}

func TestWhatIsWrittenNowhereOrElsewhereIsNotComparedAsOurs(t *testing.T) {
	h := newHouse(t)
	h.maps(map[string]string{"status": crm.Nowhere, "paid": "SUM"})
	h.puts("1", "1", "2")
	h.pay("1", "2", "3")
	h.lane()
	h.later(time.Minute)
	h.write("1", crm.Cancelled) // of no concern: it is somebody else's
	h.book.mu.Lock()
	sum := h.book.fields["1"]
	sum.Paid.Currency, sum.Paid.Decimal = "", "1000" // a field of numbers holds no currency
	h.book.fields["1"] = sum
	sum = h.book.fields["2"]
	sum.Paid = crm.Money{Decimal: "7"}
	h.book.fields["2"] = sum
	h.book.mu.Unlock()
	h.write("3", crm.Cancelled)
	h.changed("1", "2", "3")
	h.reviews()
	require.Nil(t, h.sync("1").Overwritten)
	require.Equal(t, []string{"paid"}, h.sync("2").Overwritten, "a field of the customer's that holds a value of ours is")
	require.Equal(t, []string{"status"}, h.sync("3").Overwritten, "another pipeline")
	h.lane()
	require.Equal(t, []any{crm.Cancelled, crm.Paid}, []any{h.book.status("1"), h.book.status("3")})
}

func TestADealMovedToAPipelineWithOtherFieldsIsWrittenThereOnce(t *testing.T) {
	h := newHouse(t)
	h.maps(map[string]string{"status": "TEXT"})
	h.pay("1")
	h.lane()
	require.Equal(t, "0", h.written("1"))
	for _, pipeline := range []string{"1", "0"} {
		h.later(time.Minute)
		h.puts(pipeline, "1")
		h.changed("1")
		h.reviews()
		require.Nil(t, h.sync("1").Overwritten, "nobody overwrote anything")
		h.lane()
		require.Equal(t, pipeline, h.written("1"))
		_, writes, _ := h.book.counts()
		h.later(time.Minute)
		h.changed("1") // the echo
		h.reviews()
		h.lane()
		_, after, _ := h.book.counts()
		require.Equal(t, writes, after, "nothing goes round")
	}
	require.Equal(t, 1, h.book.noted("1"))
	require.Zero(t, h.open())
}

func TestADealThatTheCRMDoesNotSayWhereItIsIsNotWrittenAtRandom(t *testing.T) {
	h := newHouse(t)
	h.maps(map[string]string{"status": "TEXT"})
	h.pay("1")
	h.book.hide(failing(crm.Transient, false))
	h.lane()
	calls, _, _ := h.book.counts()
	require.Zero(t, calls)
	require.Equal(t, 1, h.open())
	h.book.hide(nil)
	h.puts("1", "1")
	h.later(2 * time.Second)
	h.lane()
	require.Equal(t, []any{"1", crm.Paid, 1}, []any{h.written("1"), h.book.status("1"), h.book.noted("1")})
}
