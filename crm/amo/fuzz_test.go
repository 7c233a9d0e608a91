package amo

import (
	"net/http"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/crm"
)

var hookSeeds = []string{
	"account[id]=1&leads[status][0][id]=1&leads[status][0][status_id]=142",
	"leads%5Bdelete%5D%5B0%5D%5Bid%5D=12345678", "leads[[[]]]=1", "[]=1", "leads[add][-1][id]=9", "a=%", "",
	`{"leads": {"update": [{"id": 1}, {"id": "2"}], "delete": {"5": {"id": 3}}}, "account": {"id": 7}}`,
	`{"event": {"type_code": "lead_added", "data": {"id": 1, "element_type": 2}}, "account_id": "12"}`, `{"leads": [[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}`,
}

func FuzzParseEvents(f *testing.F) {
	for _, s := range hookSeeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		events, err := ParseEvents(hookRequest(body))
		if err != nil {
			require.Empty(t, events)
		}
		for _, e := range events {
			require.True(t, isID(e.DealID))
		}
	})
}

func FuzzParsePipeline(f *testing.F) {
	for _, s := range hookSeeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		entered, err := ParsePipeline(hookRequest(body))
		if err != nil {
			require.Empty(t, entered)
		}
		for _, e := range entered {
			require.True(t, isID(e.DealID))
		}
	})
}

func FuzzToken(f *testing.F) {
	good, err := jwt.NewWithClaims(jwt.SigningMethodHS256, goodClaims()).SignedString([]byte("new"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good, `{"deal_id": "1"}`)
	f.Add("", "")
	f.Add("a.b.c", "[]")
	f.Add("eyJhbGciOiJub25lIn0.e30.", `{"deal_id": {}}`)
	f.Fuzz(func(t *testing.T, token, body string) {
		r := opening("", body)
		r.Header[http.CanonicalHeaderKey(TokenHeader)] = []string{token}
		v, err := testGuard().Visit(t.Context(), r)
		if err != nil {
			require.ErrorIs(t, err, crm.ErrForged)
			return
		}
		require.Equal(t, "12345678", v.AccountKey)
	})
}

func FuzzAnswers(f *testing.F) {
	for _, s := range []string{`{"_embedded": {"leads": [{"id": 1, "request_id": "0"}]}, "_links": {"next": {"href": "x"}}}`, `[]`, `null`, `{"id": "1"`,
		`{"_embedded": [], "_links": []}`, `{"validation-errors": [{"request_id": 0, "errors": [{"code": "NotSupportedChoice"}]}]}`, "<html>",
		`{"errors": {"11062353": "Loss reason can be specified only for lost lead"}}`} {
		f.Add(400, []byte(s))
		f.Add(200, []byte(s))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		for _, out := range []any{&list[written]{}, &list[customField]{}, &list[pipeline]{}, &list[webhook]{}, &list[entry]{}, &lead{}, &account{}} {
			_ = unmarshal(body, out)
		}
		e := classify("op", true, answer{status: status, header: http.Header{}, body: body}, time.Unix(0, 0))
		if e != nil {
			_ = e.Error()
			_ = problemOf(e).named("0", "1")
			require.GreaterOrEqual(t, e.RetryAfter, time.Duration(0))
		}
	})
}
