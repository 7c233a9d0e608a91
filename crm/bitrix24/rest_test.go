package bitrix24

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/crm/crmtest"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// scripted is an account at a portal that answers what the test says, in order; the last answer repeats.
func scripted(t *testing.T, answers ...func(w http.ResponseWriter)) (*Account, *crmtest.Pacer, *int) {
	calls := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		answers[min(calls, len(answers)-1)](w)
		calls++
	}))
	t.Cleanup(srv.Close)
	pacer := &crmtest.Pacer{}
	tokens := crmtest.NewTokens("old", func() (string, error) { return "new", nil })
	return New(Config{Endpoint: srv.URL + "/rest/", HTTP: srv.Client(), Tokens: tokens, Pacer: pacer,
		Now: func() time.Time { return noon }}), pacer, &calls
}

func says(status int, body string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func refusal(code, description string) string {
	raw, _ := json.Marshal(map[string]string{"error": code, "error_description": description})
	return string(raw)
}

func TestErrorsAreClassifiedOnce(t *testing.T) {
	for _, c := range []struct {
		status            int
		code, description string
		want              crm.Class
		ambiguous         bool
	}{
		{503, "QUERY_LIMIT_EXCEEDED", "Too many requests", crm.Throttled, false},
		{429, "OPERATION_TIME_LIMIT", "Method is blocked due to operation time limit", crm.Throttled, false},
		{503, "OVERLOAD_LIMIT", "", crm.Throttled, false},
		{500, "INTERNAL_SERVER_ERROR", "", crm.Transient, true},
		{500, "ERROR_UNEXPECTED_ANSWER", "", crm.Transient, true},
		{502, "", "", crm.Transient, true},
		{500, "PORTAL_DELETED", "", crm.Revoked, false},
		{401, "invalid_token", "", crm.Revoked, false},
		{401, "NO_AUTH_FOUND", "Wrong authorization data", crm.Revoked, false},
		{401, "PAYMENT_REQUIRED", "", crm.Revoked, false},
		{401, "something_new", "", crm.Revoked, false},
		{200, "WRONG_CLIENT", "", crm.Revoked, false},
		{403, "ACCESS_DENIED", "REST API is available only on commercial plans", crm.Revoked, false},
		{403, "ACCESS_DENIED", "Access denied!", crm.Refused, false},
		{403, "insufficient_scope", "", crm.Refused, false},
		{403, "user_access_error", "", crm.Revoked, false},
		{404, "ERROR_METHOD_NOT_FOUND", "Method not found!", crm.Refused, false},
		{400, "NOT_FOUND", "Element not found", crm.Gone, false},
		{400, "", "Not found", crm.Gone, false},
		{400, "", "Access denied.", crm.Refused, false},
		{400, "0", "Activity is not found", crm.Gone, false},
		{400, "CRM_FIELD_ERROR_VALUE_NOT_VALID", "Invalid value", crm.Refused, false},
		{400, "100", "Could not find value for parameter {id}", crm.Refused, false},
	} {
		account, _, _ := scripted(t, says(c.status, refusal(c.code, c.description)))
		_, err := account.Deal(t.Context(), "1")
		var e *crm.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, c.want.String(), e.Class.String(), "%+v", c)
		require.Equal(t, c.ambiguous, e.Ambiguous, "%+v", c)
	}
}

func TestABlockedMethodWaitsForItsReset(t *testing.T) {
	reset := noon.Add(3 * time.Minute).Unix()
	good, _ := json.Marshal(map[string]any{"result": map[string]any{"result": map[string]any{"c00": true, "c01": true},
		"result_time": map[string]any{"c00": map[string]any{"operating": 470.5, "operating_reset_at": reset}}}})
	inside := `{"result":{"result":{"c01":true},"result_error":{"c00":{"error":"OPERATION_TIME_LIMIT","error_description":"blocked"}}}}`
	account, pacer, _ := scripted(t, says(200, string(good)), says(200, inside))
	cmds := []command{{method: "crm.item.update"}, {method: "profile"}}
	_, fail := account.run(t.Context(), cmds)
	require.Nil(t, fail)
	got, fail := account.run(t.Context(), cmds)
	require.Nil(t, fail)
	require.Equal(t, crm.Throttled, got[0].err.Class)
	require.Equal(t, "crm.item.update", got[0].err.Method)
	require.Equal(t, 3*time.Minute+time.Second, got[0].err.RetryAfter)
	require.Nil(t, got[1].err, "other methods go on")

	told := pacer.Told()
	require.Equal(t, 470500*time.Millisecond, told[0].Operating["crm.item.update"])
	require.Equal(t, time.Unix(reset, 0), told[0].OperatingResetAt["crm.item.update"])
	require.False(t, told[1].Throttled, "only the method is blocked")
	require.Equal(t, operatingLimit, told[1].Operating["crm.item.update"])
	require.Equal(t, [][]string{{"batch", "crm.item.update", "profile"}, {"batch", "crm.item.update", "profile"}}, pacer.Waits())
}

// limiting is a pacer that knows a method which has used up its execution time.
type limiting struct {
	crmtest.Pacer
	method string
}

func (p *limiting) Wait(ctx context.Context, methods ...string) error {
	if slices.Contains(methods, p.method) {
		return &crm.Error{Class: crm.Throttled, Op: p.method, Method: p.method, RetryAfter: time.Minute, Err: errors.New("used up")}
	}
	return p.Pacer.Wait(ctx, methods...)
}

func TestWhatNeedsAnotherMethodThanTheOneThatWaitsIsSent(t *testing.T) {
	account, _, calls := scripted(t, says(200, `{"result":{"result":{"c00":true,"c01":true,"c02":true}}}`))
	pacer := &limiting{method: "crm.timeline.comment.add"}
	account.c.Pacer = pacer
	note := func(ambiguous bool) crm.Change {
		return crm.Change{Deal: "1", Effect: &crm.Effect{Kind: crm.Note, Reference: "DP-1", Text: "x", Ambiguous: ambiguous}}
	}
	done := crm.Change{Deal: "1", Effect: &crm.Effect{Kind: crm.CloseTask, RemoteID: "5"}}
	got := account.Apply(t.Context(), []crm.Change{note(false), done, note(false), done, done})
	require.Equal(t, 1, *calls)
	require.Equal(t, [][]string{{"batch", "crm.activity.update"}}, pacer.Waits())
	for i, v := range got {
		var e *crm.Error
		if i != 0 && i != 2 {
			require.NoError(t, v.Err)
			require.Equal(t, "5", v.RemoteID)
		} else if require.ErrorAs(t, v.Err, &e); true {
			require.Equal(t, []any{crm.Throttled, pacer.method, time.Minute, false}, []any{e.Class, e.Method, e.RetryAfter, e.Ambiguous})
		}
	}

	pacer.method = "crm.timeline.comment.list" // its question cannot be put
	got = account.Apply(t.Context(), []crm.Change{done, note(true), note(true)})
	require.Equal(t, 2, *calls)
	require.NoError(t, got[0].Err)
	require.Equal(t, crm.Throttled, crm.ClassOf(got[1].Err))
	require.Equal(t, crm.Throttled, crm.ClassOf(got[2].Err))

	pacer.method = "batch"
	got = account.Apply(t.Context(), []crm.Change{done, note(true)})
	require.Equal(t, 2, *calls, "without it nothing can be sent")
	require.Equal(t, crm.Throttled, crm.ClassOf(got[0].Err))
	require.Equal(t, crm.Throttled, crm.ClassOf(got[1].Err))
}

func TestAMovedPortalIsFollowedOnlyWhenAllowed(t *testing.T) {
	moved := func(w http.ResponseWriter) {
		w.Header().Set("Location", "https://new.bitrix24.com/rest/batch")
		w.WriteHeader(http.StatusFound)
	}
	account, _, calls := scripted(t, moved)
	_, err := account.Info(t.Context())
	require.Equal(t, crm.Transient, crm.ClassOf(err))
	require.Equal(t, 1, *calls)

	var asked string
	account.c.Moved = func(_ context.Context, endpoint string) error {
		asked = endpoint
		return errors.New("not on the list")
	}
	_, err = account.Info(t.Context())
	require.ErrorContains(t, err, "not on the list")
	require.Equal(t, "https://new.bitrix24.com/rest/", asked)
	require.Equal(t, 2, *calls, "the token went nowhere else")

	home, _, reached := scripted(t, says(200, `{"result":{"result":{"c00":{"VERSION":4,"STATUS":"F","INSTALLED":true,"LICENSE_FAMILY":"ent","LANGUAGE_ID":"la"}}}}`))
	account.c.Moved = func(context.Context, string) error { return nil }
	account.c.HTTP.Transport = rewrite{to: strings.TrimPrefix(strings.TrimSuffix(home.endpoint, "/rest/"), "http://"), from: "new.bitrix24.com"}
	info, err := account.Info(t.Context())
	require.NoError(t, err)
	require.Equal(t, Info{Version: 4, Status: "F", Installed: true, Enterprise: true, Lang: "es"}, info)
	require.Equal(t, 1, *reached)
	_, err = account.Info(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2, *reached)
	require.Equal(t, 3, *calls, "the old address is not asked again")
}

// rewrite sends what is for one host to another.
type rewrite struct{ from, to string }

func (r rewrite) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Host == r.from {
		req = req.Clone(req.Context())
		req.URL.Scheme, req.URL.Host = "http", r.to
	}
	return http.DefaultTransport.RoundTrip(req)
}

func TestWhatWasNeverSentIsNotAmbiguous(t *testing.T) {
	account, _, _ := scripted(t, says(200, "{}"))
	account.endpoint = "http://127.0.0.1:1/rest/"
	got := account.Apply(t.Context(), []crm.Change{{Deal: "1", Effect: &crm.Effect{Kind: crm.Note, Reference: "DP-1", Text: "x"}}})
	var e *crm.Error
	require.ErrorAs(t, got[0].Err, &e)
	require.Equal(t, crm.Transient, e.Class)
	require.False(t, e.Ambiguous)
}

func TestAnUnreadableAnswerIsTransient(t *testing.T) {
	for _, body := range []string{"", "<html>login</html>", "{}", `{"result":1}`, `{"result":{"result":[]}}`} {
		account, _, _ := scripted(t, says(200, body))
		for _, change := range []crm.Effect{{Kind: crm.Note, Reference: "DP-1"}, {Kind: crm.CloseTask, RemoteID: "5"}} {
			got := account.Apply(t.Context(), []crm.Change{{Deal: "1", Effect: &change}})
			var e *crm.Error
			require.ErrorAs(t, got[0].Err, &e, body)
			require.Equal(t, crm.Transient, e.Class, body)
			require.True(t, e.Ambiguous, body)
		}
	}
}

func TestAFieldThatSomebodyDeletedIsNoticed(t *testing.T) {
	account, _, _ := scripted(t, says(200, `{"result":{"result":{"c00":{"item":{"id":1,"stageId":"NEW"}}}}}`))
	account.layout = layout{Fields: map[string]field{}, Options: map[crm.Status]string{crm.Paid: "7"}}
	for _, key := range crm.FieldKeys {
		account.layout.Fields[key] = field{"1", fieldName(key)}
	}
	got := account.Apply(t.Context(), []crm.Change{{Deal: "1", State: &crm.State{Status: crm.Paid}}})
	var e *crm.Error
	require.ErrorAs(t, got[0].Err, &e)
	require.Equal(t, "FIELD_MISSING", e.Code)
}

func TestAReferenceIsFoundOnlyAsAWord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ref := rapid.StringMatching(`DP-[0-9A-Z]{2,8}`).Draw(t, "ref")
		before := rapid.StringMatching(`[ .,:(\n]?`).Draw(t, "before")
		require.True(t, carries("paid"+before+" "+ref+before, ref))
		require.False(t, carries(ref+"7", ref))
		require.True(t, carries(tagged("text", ref), ref))
		require.Equal(t, tagged("text", ref), tagged(tagged("text", ref), ref))
	})
}

func TestAmountsKeepTheirDigits(t *testing.T) {
	for number, want := range map[string]string{"10000": "10000", "999.9": "999.9", "0": "", "0.00": "", "": "", "1.0e+15": "1000000000000000.00",
		"150000.05": "150000.05", "1e999999999": "", "abc": "", "1/3": "", "-5": "-5"} {
		require.Equal(t, want, decimal(number), number)
	}
}
