package payments_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/ameria"
	"github.com/dealpay/dealpay/payments/fastshift"
	"github.com/dealpay/dealpay/payments/hooks"
	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/payments/stripe"
	"github.com/dealpay/dealpay/payments/vposam"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/standintest"
	"github.com/dealpay/dealpay/tenants/tenantstest"
	"github.com/stretchr/testify/require"
)

// interceptor keeps what an acquirer sends, and answers it with a yes. Questions before payment go on to us.
type interceptor struct {
	ours http.Handler

	mu   sync.Mutex
	kept []letter
}

func (i *interceptor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if bytes.Contains(body, []byte("EDP_PRECHECK")) {
		r.Body = io.NopCloser(bytes.NewReader(body))
		i.ours.ServeHTTP(w, r)
		return
	}
	i.mu.Lock()
	i.kept = append(i.kept, letter{method: r.Method, url: r.URL.String(), header: r.Header.Clone(), body: body})
	i.mu.Unlock()
	_, _ = io.WriteString(w, "OK")
}

// next waits for the letter number n.
func (i *interceptor) next(t *testing.T, n int) (l letter) {
	require.Eventually(t, func() bool {
		i.mu.Lock()
		defer i.mu.Unlock()
		if len(i.kept) > n {
			l = i.kept[n]
		}
		return len(i.kept) > n
	}, 5*time.Second, 5*time.Millisecond)
	return l
}

// desk is a shop with one acquirer whose notices come to us only when the test delivers them.
type desk struct {
	*storm
	*interceptor
}

func newDesk(t *testing.T, key string) *desk {
	s := newStorm(t, key, 1)
	s.fair.Store(true)
	d := &desk{s, &interceptor{ours: s.post.hooks}}
	s.post.hooks = d.interceptor
	return d
}

// paid is an invoice that was paid, with the notice of it.
func (d *desk) paid(n int) (payments.Invoice, letter) {
	in := d.Invoice("1", 1_500_000)
	in, err := d.Edit(d.Context(), d.ID, d.By, in.ID, payments.Terms{ExpiresAt: d.Now().Add(48 * time.Hour)})
	require.NoError(d, err)
	checkout, err := d.Pay(d.Context(), d.ID, in.ID, "token", d.key, "en")
	require.NoError(d, err)
	status, answer := d.command("pay", map[string]any{"url": d.opened(checkout), "outcome": "paid", "notices": 1})
	require.Equal(d, http.StatusOK, status, answer)
	return in, d.next(d.T, n)
}

// hand delivers a letter to us and returns the status of our answer.
func (d *desk) hand(l letter) int {
	w := httptest.NewRecorder()
	u, err := url.Parse(l.url)
	require.NoError(d, err)
	r := httptest.NewRequest(l.method, u.RequestURI(), bytes.NewReader(l.body))
	r.Header = l.header.Clone()
	d.ours.ServeHTTP(w, r)
	return w.Code
}

// refusals are the bad signatures in the audit trail of a tenant.
func (d *desk) refusals(id tenants.ID) (n int) {
	require.NoError(d, d.DB.In(d.Context(), id, func(ctx context.Context, tx *tenants.Tx) error {
		return tx.QueryRow(ctx, `SELECT count(*) FROM audit WHERE action = 'notice.refused' AND evidence->>'acquirer' = $1 AND evidence->>'why' = 'signature'`, d.key).Scan(&n)
	}))
	return n
}

var signatures = []string{"X-Vpos-Signature", "Stripe-Signature"}

// unsigned is a letter without its signature.
func unsigned(l letter) letter {
	l.header = l.header.Clone()
	for _, name := range signatures {
		l.header.Del(name)
	}
	if form, err := url.ParseQuery(string(l.body)); err == nil {
		for _, name := range []string{"checksum", "EDP_CHECKSUM"} {
			form.Del(name)
		}
		if l.header.Get("Content-Type") == "application/x-www-form-urlencoded" {
			l.body = []byte(form.Encode())
		}
	}
	return l
}

// changed is a letter about more money.
func changed(t *testing.T, l letter) letter {
	body := strings.Replace(string(l.body), "15000", "95000", 1)
	require.NotEqual(t, string(l.body), body, "the notice names the amount")
	l.body = []byte(body)
	return l
}

// dated are the acquirers whose signatures carry their time.
var dated = []string{stripe.Key, vposam.Key}

func TestBadSignaturesAreRefusedAndLogged(t *testing.T) {
	for _, key := range slices.Sorted(maps.Keys(rigs)) {
		if key == ameria.Key || key == fastshift.Key {
			continue // they sign nothing: see the tests below
		}
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, key)
			in, genuine := d.paid(0)
			require.NoError(t, d.control.Order(standintest.Fault{Kind: standintest.Forge}))
			_, forged := d.paid(1)
			other := tenantstest.Tenant(t, d.Fixture, "kommo", "other")
			misdirected := genuine
			misdirected.url = d.addressOf(other)
			bad := map[string]letter{"without a signature": unsigned(genuine), "by another key": forged, "about more money": changed(t, genuine)}
			refused := 0
			for name, l := range bad {
				for range 2 { // as often as it comes
					code := d.hand(l)
					require.Contains(t, []int{http.StatusUnauthorized, http.StatusForbidden}, code, name)
					refused++
					require.Equal(t, refused, d.refusals(d.ID), name)
				}
			}
			require.Contains(t, []int{http.StatusUnauthorized, http.StatusForbidden}, d.hand(misdirected), "of another merchant")
			require.Equal(t, [2]int{refused, 1}, [2]int{d.refusals(d.ID), d.refusals(other)}, "in the trail of whose address it was")
			d.unmoved(in)

			require.Equal(t, http.StatusOK, d.hand(genuine), "what was forged shuts nothing out")
			d.work()
			paid := d.Read(in.ID)
			require.Equal(t, [2]any{state.Paid, int64(1_500_000)}, [2]any{paid.Status, paid.Paid})
			d.rests(in)
			facts := len(d.facts(in))
			require.Equal(t, http.StatusOK, d.hand(genuine), "a repetition is acknowledged")
			d.work()
			require.Equal(t, facts, len(d.facts(in)), "and changes nothing")
			if slices.Contains(dated, key) {
				d.advance(6 * time.Minute)
				require.Equal(t, http.StatusUnauthorized, d.hand(genuine), "an old signature")
				require.Equal(t, refused+1, d.refusals(d.ID))
			}
		})
	}
}

// rests requires that the payment's evidence names the notice, when it came, that its signature was good, and when all was verified.
func (d *desk) rests(in payments.Invoice) {
	d.Helper()
	d.In(func(ctx context.Context, tx *tenants.Tx) error {
		var signature string
		var came, verified time.Time
		err := tx.QueryRow(ctx, `SELECT f.evidence->>'signature', n.received_at, f.at FROM facts f JOIN notices n ON n.id::text = f.evidence->>'notice'
			WHERE f.invoice_id = $1 AND f.status = 'paid' AND abs(extract(epoch FROM (f.evidence->>'notice_received_at')::timestamptz - n.received_at)) < 0.001`, in.ID).Scan(&signature, &came, &verified)
		require.Equal(d, "good", signature)
		require.False(d, verified.Before(came))
		return err
	})
}

// addressOf is another tenant's address for notices of this acquirer, connected with secrets of its own.
func (d *desk) addressOf(id tenants.ID) (address string) {
	d.Providers[d.key] = willing{d.Providers[d.key]}
	theirs := maps.Clone(d.credentials)
	for _, c := range d.Providers[d.key].Describe().Credentials {
		if c.Secret && theirs[c.Key] != "" {
			theirs[c.Key] = "whsec_of_somebody_else"
		}
	}
	require.NoError(d, d.Connect(d.Context(), id, d.By, d.key, theirs, true))
	d.Providers[d.key] = d.Providers[d.key].(willing).Provider
	require.NoError(d, d.DB.In(d.Context(), id, func(ctx context.Context, tx *tenants.Tx) error {
		all, err := payments.Connections(ctx, tx)
		require.NoError(d, err)
		address, err = d.HookURL(tx, all[0])
		return err
	}))
	return address
}

// willing takes any credentials.
type willing struct{ payments.Provider }

func (willing) Check(context.Context, payments.Connection) error { return nil }

// unmoved requires that nothing was believed and nothing was promised.
func (d *desk) unmoved(in payments.Invoice) {
	d.Helper()
	require.Equal(d, state.AwaitingPayment, d.Read(in.ID).Status)
	d.In(func(ctx context.Context, tx *tenants.Tx) error {
		var kept, due int
		require.NoError(d, tx.QueryRow(ctx, `SELECT (SELECT count(*) FROM notices), (SELECT count(*) FROM outbox WHERE kind IN ('check', 'notice') AND due_at <= $1)`,
			d.Now()).Scan(&kept, &due))
		require.Equal(d, [2]int{}, [2]int{kept, due})
		return nil
	})
}

func TestAHintOfFastShiftMovesNothingByItself(t *testing.T) {
	d := newDesk(t, fastshift.Key)
	in := d.Invoice("1", 1_500_000)
	in, err := d.Edit(t.Context(), d.ID, d.By, in.ID, payments.Terms{ExpiresAt: d.Now().Add(48 * time.Hour)})
	require.NoError(t, err)
	checkout, err := d.Pay(t.Context(), d.ID, in.ID, "token", d.key, "en")
	require.NoError(t, err)
	status, _ := d.command("hint", map[string]any{"ref": checkout.ProviderRef, "status": "completed"})
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, http.StatusOK, d.hand(d.next(t, 0)), "anybody could have sent it")
	d.work()
	require.Equal(t, [2]any{state.AwaitingPayment, int64(0)}, [2]any{d.Read(in.ID).Status, d.Read(in.ID).Paid})
	status, _ = d.command("pay", map[string]any{"url": checkout.URL, "outcome": "paid", "notices": 0})
	require.Equal(t, http.StatusOK, status)
	d.advance(time.Minute) // the ladder's next step
	d.work()
	require.Equal(t, state.Paid, d.Read(in.ID).Status)
}

func TestAmeriabankSendsNothingSoNothingIsTaken(t *testing.T) {
	d := newDesk(t, ameria.Key)
	for _, body := range []string{"", "orderID=1&resposneCode=00&paymentID=x", `{"OrderID":1,"ResponseCode":"00"}`} {
		require.Equal(t, http.StatusBadRequest, d.hand(letter{method: http.MethodPost, url: d.storm.address, header: http.Header{}, body: []byte(body)}))
	}
	d.In(func(ctx context.Context, tx *tenants.Tx) error {
		var kept int
		require.NoError(t, tx.QueryRow(ctx, `SELECT count(*) FROM notices`).Scan(&kept))
		require.Zero(t, kept)
		return nil
	})
}

// TestLogsAndTheTrailCarryNoSecret lets everything go wrong that is logged, and looks for the tenant's secrets in what is
// written down.
func TestLogsAndTheTrailCarryNoSecret(t *testing.T) {
	for _, key := range slices.Sorted(maps.Keys(rigs)) {
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, key)
			var mu sync.Mutex
			var written bytes.Buffer
			log := slog.New(slog.NewTextHandler(writer(func(p []byte) (int, error) {
				mu.Lock()
				defer mu.Unlock()
				return written.Write(p)
			}), &slog.HandlerOptions{Level: slog.LevelDebug}))
			d.Log, d.ours = log, hooks.Handler(d.Service, d.Now, log)
			in := d.Invoice("1", 1_500_000)
			for _, kind := range []standintest.Kind{standintest.Down, standintest.HTMLPage, standintest.Truncated, standintest.DropAfterCommit} {
				require.NoError(t, d.control.Order(standintest.Fault{Kind: kind}))
				_, err := d.Pay(t.Context(), d.ID, in.ID, "token", key, "en")
				log.Info("paying", "err", err)
				log.Info("checking", "err", d.CheckInvoice(t.Context(), d.ID, in.ID))
				for left := true; left; { // Idram is asked nothing
					_, left = d.control.Take(kind, "")
				}
			}
			if key != ameria.Key {
				_, genuine := d.paid(0)
				for _, l := range []letter{unsigned(genuine), genuine} {
					d.hand(l)
				}
				d.work()
			}
			d.In(func(ctx context.Context, tx *tenants.Tx) error {
				var trail string
				err := tx.QueryRow(ctx, `SELECT coalesce((SELECT string_agg(evidence::text, ' ') FROM audit), '') || coalesce((SELECT string_agg(evidence::text, ' ') FROM facts), '') ||
					coalesce((SELECT string_agg(last_error, ' ') FROM outbox), '') || coalesce((SELECT string_agg(last_error, ' ') FROM effects), '')`).Scan(&trail)
				log.Info(trail)
				return err
			})
			mu.Lock()
			defer mu.Unlock()
			require.Contains(t, written.String(), "acquirer", "something was written down")
			for _, c := range d.Providers[key].Describe().Credentials {
				if value := d.credentials[c.Key]; c.Secret && value != "" {
					require.NotContains(t, written.String(), value, c.Key)
				}
			}
		})
	}
}

type writer func(p []byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }
