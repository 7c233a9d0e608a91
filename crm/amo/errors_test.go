package amo

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/crm"
)

const fixtures = "../../../shared/fixtures/"

// fixture reads a documented example.
func fixture(t *testing.T, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(fixtures, name))
	if err != nil {
		t.Skipf("the documented examples are not here: %v", err)
	}
	return raw
}

func TestAnswersAreClassified(t *testing.T) {
	now := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		status int
		body   string
		write  bool
		want   crm.Error // Class, Code, RetryAfter and Ambiguous count
	}{
		{400, `{"detail": "Request data can not be empty"}`, true, crm.Error{Class: crm.Refused, Code: "400"}},
		{400, `{"detail": "Код ошибки 244"}`, true, crm.Error{Class: crm.Revoked, Code: "244"}},
		{401, `{}`, false, crm.Error{Class: crm.Revoked, Code: "401"}},
		{402, `{"title": "Payment Required"}`, true, crm.Error{Class: crm.Revoked, Code: "402"}},
		{403, `{"title": "Forbidden"}`, true, crm.Error{Class: crm.Refused, Code: "403"}},
		{403, "<html>\n<head>", true, crm.Error{Class: crm.Throttled, Code: "blocked"}},
		{404, `{"title": "Not Found"}`, false, crm.Error{Class: crm.Gone, Code: "404"}},
		{404, "<html>", false, crm.Error{Class: crm.Transient, Code: "no_account"}},
		{405, `{}`, true, crm.Error{Class: crm.Refused, Code: "405"}},
		{408, ``, true, crm.Error{Class: crm.Transient, Code: "408"}},
		{422, `{"detail": "Limit 250 per page"}`, true, crm.Error{Class: crm.Refused, Code: "422"}},
		{429, `{"retry_after": 300}`, true, crm.Error{Class: crm.Throttled, Code: "429", RetryAfter: 5 * time.Minute}},
		{429, `{"retry_after": 999999999}`, true, crm.Error{Class: crm.Throttled, Code: "429", RetryAfter: longestWait}},
		{429, `<html>`, true, crm.Error{Class: crm.Throttled, Code: "429"}},
		{302, ``, false, crm.Error{Class: crm.Transient, Code: "302"}},
		{500, `{"title": "ErrInternalServer"}`, true, crm.Error{Class: crm.Transient, Code: "500", Ambiguous: true}},
		{502, `<html>`, false, crm.Error{Class: crm.Transient, Code: "502"}},
		{504, `<html>`, true, crm.Error{Class: crm.Transient, Code: "504", Ambiguous: true}},
	} {
		got := classify("op", c.write, answer{status: c.status, header: http.Header{}, body: []byte(c.body)}, now)
		require.NotNil(t, got)
		require.Equal(t, c.want, crm.Error{Class: got.Class, Code: got.Code, RetryAfter: got.RetryAfter, Ambiguous: got.Ambiguous},
			"%d %s", c.status, c.body)
	}
	require.Nil(t, classify("op", true, answer{status: 204}, now))
}

func TestTheHeaderMayAskForAWaitAsWell(t *testing.T) {
	now := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	for _, value := range []string{"30", now.Add(30 * time.Second).Format(http.TimeFormat)} {
		got := classify("op", false, answer{status: 429, header: http.Header{"Retry-After": {value}}, body: []byte("<html>")}, now)
		require.Equal(t, 30*time.Second, got.RetryAfter)
		require.Equal(t, crm.Pressure{Throttled: true, RetryAfter: 30 * time.Second}, pressure(got))
	}
	past := classify("op", false, answer{status: 429, header: http.Header{"Retry-After": {"-5"}}}, now)
	require.Zero(t, past.RetryAfter)
}

func TestDocumentedErrorsAreUnderstood(t *testing.T) {
	for name, want := range map[string]crm.Class{"kommo/error.400.empty.json": crm.Refused, "kommo/error.400.validation.json": crm.Refused,
		"kommo/error.401.json": crm.Revoked, "kommo/error.402.json": crm.Revoked, "kommo/error.404.json": crm.Gone,
		"kommo/error.405.json": crm.Refused, "kommo/error.422.limit.json": crm.Refused, "kommo/error.429.json": crm.Throttled,
		"amocrm/error.401.json": crm.Revoked} {
		body := fixture(t, name)
		p := struct {
			Status int `json:"status"`
		}{}
		require.NoError(t, unmarshal(body, &p))
		if p.Status == 0 {
			p.Status = http.StatusTooManyRequests
		}
		got := classify("op", false, answer{status: p.Status, header: http.Header{"X-Request-Id": {"r1"}}, body: body}, time.Now())
		require.Equal(t, want.String(), got.Class.String(), name)
		require.Contains(t, got.Error(), "r1")
	}
	blocked := classify("op", true, answer{status: 403, header: http.Header{}, body: fixture(t, "amocrm/error.403.nginx.html")}, time.Now())
	require.Equal(t, crm.Pressure{Blocked: true}, pressure(blocked))

	p := problemOf(classify("op", true, answer{status: 400, header: http.Header{}, body: fixture(t, "kommo/error.400.validation.json")}, time.Now()))
	require.True(t, p.named("0", "1"))
	require.False(t, p.named("1", "1"))
	require.True(t, p.lostField())
}
