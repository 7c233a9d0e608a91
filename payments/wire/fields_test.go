package wire_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/wire"
)

func TestFieldsAreReadOneByOne(t *testing.T) {
	for _, text := range []string{"", "null", "[]", `"a"`, "{", "<html>"} {
		_, ok := wire.Parse([]byte(text))
		require.False(t, ok, text)
	}
	f, ok := wire.Parse([]byte(`{"Code":"0-2007","n":12,"big":1000000000001,"neg":-1,"frac":1.5,"text":"5","mail":"a@b.c","Null":null,
		"inner":{"A":1},"twice":1,"TWICE":2,"same":1,"SAME":1,"list":[1]}`))
	require.True(t, ok)
	require.Equal(t, "0-2007", f.Code("CODE"), "whatever the case")
	require.Equal(t, "12", f.Code("n"))
	require.Equal(t, "", f.Text("n"), "a number is no text")
	require.Equal(t, "", f.Text("mail"))
	require.Equal(t, "a@b.c", f.String("mail"))
	require.Equal(t, "1", f.Inner("inner").Code("a"))
	require.Empty(t, f.Inner("list"))
	require.Equal(t, "", f.Code("twice"), "two meanings are none")
	require.Equal(t, "1", f.Code("same"))
	require.Equal(t, map[string]string{"Code": "0-2007", "n": "12"}, f.Evidence("Code", "n", "mail", "list", "absent"))
	for name, want := range map[string]struct {
		minor int64
		ok    bool
	}{"n": {12, true}, "text": {5, true}, "absent": {0, true}, "null": {0, true}, "neg": {-1, false}, "frac": {0, false}, "mail": {0, false},
		"list": {0, false}, "big": {1_000_000_000_001, false}} {
		minor, ok := f.Minor(name)
		require.Equal(t, want.ok, ok, name)
		if ok {
			require.Equal(t, want.minor, minor, name)
		}
	}
}

func TestAFormHasEachFieldOnce(t *testing.T) {
	f, err := wire.Form(payments.Notice{Query: "a=1&b=%20", Body: []byte("c=3")})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"a": "1", "b": " ", "c": "3"}, f)
	for _, n := range []payments.Notice{{}, {Query: "a=1&a=1"}, {Query: "a=1", Body: []byte("a=1")}, {Query: "a=%zz"}, {Query: "a;b"},
		{Body: []byte(strings.Repeat("x", 9) + "&" + strings.Join(strings.Split(strings.Repeat("y", 60), ""), "1&"))}} {
		_, err := wire.Form(n)
		require.ErrorIs(t, err, payments.ErrNotice)
	}
}

func TestCurrenciesAreNumbersWithZeros(t *testing.T) {
	for _, code := range []string{"AMD", "EUR", "USD", "RUB"} {
		n, ok := wire.Number(code)
		require.True(t, ok)
		require.Len(t, n, 3)
		require.Equal(t, code, wire.Currency(n))
		require.Equal(t, code, wire.Currency(strings.TrimLeft(n, "0")))
	}
	_, ok := wire.Number("GEL")
	require.False(t, ok)
	require.Equal(t, "999", wire.Currency("999"))
	require.Equal(t, "", wire.Currency(""))
}
