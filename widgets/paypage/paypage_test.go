package paypage

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func amd(minor int64) payments.Money { return payments.Money{Minor: minor, Currency: "AMD"} }

// example is a page with everything on it that its state may have.
func example(state State, lang string) Page {
	p := Page{Lang: lang, Merchant: "Oak & Stone", Token: "Zk3v9QmN2xW8yT4r", State: state, Amount: amd(50_000_00), Purpose: "Deposit for the kitchen",
		Zone: time.FixedZone("", 4*3600), Methods: []Method{{Key: "vpos_am", Name: "VPOS.am"}, {Key: "idram", Name: "Idram"}}, Method: "idram"}
	paidAt := time.Date(2025, 3, 10, 8, 4, 0, 0, time.UTC)
	switch state {
	case Open, Failed, Trouble:
		p.Until = paidAt.Add(72 * time.Hour)
	case PartPaid:
		p.Paid, p.Total = amd(100_000_00), amd(150_000_00)
	case Paid, AlreadyPaid, Refunded:
		p.Receipt = &Receipt{Number: "D-1041", Amount: amd(50_000_00), Refunded: amd(10_000_00), PaidAt: paidAt, Reference: "18273645", Merchant: "Oak & Stone"}
	case Unknown:
		p = Page{Lang: lang, State: state, Token: p.Token}
	case Leaving:
		p.Forward = &Forward{URL: "https://bank.example.com/pay", Fields: map[string]string{"EDP_AMOUNT": "50000.00"}}
	}
	return p
}

func render(t testing.TB, p Page) string {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, Render(&out, p))
	return out.String()
}

func TestEveryLanguageHasEveryWord(t *testing.T) {
	english := dictionaries["en"]
	placeholder := regexp.MustCompile(`\{\w+\}`)
	for _, lang := range Langs {
		d := dictionaries[lang]
		require.Len(t, d.Months, 12, lang)
		require.NotEmpty(t, d.Name, lang)
		require.Len(t, d.Words, len(english.Words), lang)
		for key, word := range english.Words {
			require.NotEmpty(t, d.Words[key], "%s in %s", key, lang)
			require.ElementsMatch(t, placeholder.FindAllString(word, -1), placeholder.FindAllString(d.Words[key], -1), "%s in %s", key, lang)
		}
	}
}

func TestEveryStateRendersInEveryLanguage(t *testing.T) {
	for _, lang := range Langs {
		for _, state := range States {
			t.Run(lang+" "+string(state), func(t *testing.T) {
				page := render(t, example(state, lang))
				require.Contains(t, page, `<html lang="`+lang+`">`)
				require.Contains(t, page, `data-testid="state" data-state="`+string(state)+`"`)
				require.NotRegexp(t, `\{\w+\}`, regexp.MustCompile(`(?s)<style>.*?</style>`).ReplaceAllString(page, ""), "a value is missing")
				require.NotContains(t, page, "ZgotmplZ")
				if state != Open {
					require.Contains(t, page, "<h1>"+dictionaries[lang].say(string(state)+".title", map[string]string{
						"method": "Idram", "paid": Money(amd(100_000_00), lang), "total": Money(amd(150_000_00), lang)}))
				}
			})
		}
	}
}

func TestOnlyStatesThatMayBePaidHaveAButton(t *testing.T) {
	payable := map[State]bool{Open: true, Failed: true, PartPaid: true, Trouble: true}
	for _, state := range States {
		page := render(t, example(state, "en"))
		form := `<form method="post" action="/p/Zk3v9QmN2xW8yT4r/pay"`
		if payable[state] {
			require.Contains(t, page, form, state)
			require.Regexp(t, `data-testid="pay">[^<]*֏50,000|data-testid="pay">[^<]*50,000\x{a0}֏`, page, "the button says the amount")
			require.Contains(t, page, `value="idram" checked`, "the last method is chosen")
		} else {
			require.NotContains(t, page, form, state)
		}
	}
}

func TestOneMethodNeedsNoChoice(t *testing.T) {
	p := example(Open, "en")
	p.Methods = p.Methods[:1]
	page := render(t, p)
	require.Contains(t, page, `<input type="hidden" name="method" value="vpos_am">`)
	require.NotContains(t, page, `type="radio"`)
	require.Contains(t, page, "You pay on the page of VPOS.am")
	p.Methods = nil
	require.NotContains(t, render(t, p), "<form")
}

func TestCheckingUpdatesItselfWithoutJavaScript(t *testing.T) {
	for _, state := range States {
		refreshes := strings.Contains(render(t, example(state, "en")), `<noscript><meta http-equiv="refresh" content="3"></noscript>`)
		require.Equal(t, state == Checking, refreshes, state)
	}
}

func TestTheStyleIsInThePageAndNothingElseIsNeededToReadIt(t *testing.T) {
	for _, state := range States {
		page := render(t, example(state, "en"))
		require.NotContains(t, page, "rel=\"stylesheet\"", state)
		require.Contains(t, page, sheet+":root{--accent:", state)
	}
	if sheet != "" {
		require.Contains(t, sheet, ".pay{")
		require.NotContains(t, sheet, "</")
	}
}

func TestAnAmountInAnotherCurrencyIsShownWithItsRate(t *testing.T) {
	p := example(Open, "en")
	p.Claim, p.Rate, p.Due = payments.Money{Minor: 129_03, Currency: "USD"}, "387.5", time.Date(2025, 4, 1, 8, 0, 0, 0, time.UTC)
	page := render(t, p)
	require.Contains(t, page, "for $129.03 at 387.5")
	require.Contains(t, page, "Due 1 April 2025, 12:00 (UTC&#43;4)")
	require.NotContains(t, render(t, example(Open, "en")), `data-testid="rate"`)
}

func TestTestModeIsAlwaysSaid(t *testing.T) {
	for _, state := range States {
		p := example(state, "en")
		p.Test = true
		require.Contains(t, render(t, p), "no real money", state)
	}
}

func TestAReceiptHoldsWhatIsKept(t *testing.T) {
	page := render(t, example(Paid, "ru"))
	for _, want := range []string{"D-1041", "18273645", "50\u00a0000\u00a0֏", "10\u00a0000\u00a0֏", "10 марта 2025, 12:04 (UTC&#43;4)", "Oak &amp; Stone"} {
		require.Contains(t, page, want)
	}
}

func TestPolicyAllowsOnlyThisPagesStyle(t *testing.T) {
	p := example(Open, "en")
	p.Accent = "#ffcc00"
	style := regexp.MustCompile(`(?s)<style>(.*?)</style>`).FindStringSubmatch(render(t, p))
	require.NotNil(t, style)
	require.Regexp(t, `:root\{--accent:#ffcc00;--accent-text:#000000\}$`, style[1], "the tenant's colour comes last")
	sum := sha256.Sum256([]byte(style[1]))
	require.Contains(t, p.Policy(), "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
	require.NotContains(t, p.Policy(), "unsafe")
}

func TestWhatATenantTypesStaysText(t *testing.T) {
	p := example(Paid, "en")
	p.Merchant, p.Purpose, p.Accent = `<script>alert(1)</script>`, `"><img src=x>`, `red}</style><script>`
	page := render(t, p)
	require.NotContains(t, page, "<script>alert")
	require.NotContains(t, page, "<img")
	require.NotContains(t, page, "red}")
}

func TestAnyColourIsReadable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		accent := fmt.Sprintf("#%06x", rapid.IntRange(0, 0xffffff).Draw(t, "colour"))
		background, text := Readable(accent)
		b, _ := luminanceOf(background)
		l, _ := luminanceOf(text)
		require.GreaterOrEqual(t, contrast(b, l), 4.5)
	})
	for _, odd := range []string{"", "red", "#12", "#zzzzzz"} {
		background, text := Readable(odd)
		require.Equal(t, []string{ours, light}, []string{background, text})
	}
}

func TestPickPrefersTheChoiceThenTheBrowser(t *testing.T) {
	for _, c := range []struct{ accept, query, want string }{
		{"", "", "en"}, {"hy-AM,ru;q=0.8", "", "hy"}, {"de,ru;q=0.5", "", "ru"}, {"pt-BR", "", "pt"}, {"es-419,es;q=0.9", "", "es"},
		{"ru", "hy", "hy"}, {"ru", "xx", "ru"}, {"de", "", "en"}, {"\x00", "", "en"},
	} {
		require.Equal(t, c.want, Pick(c.accept, c.query), "%q %q", c.accept, c.query)
	}
}

func TestMoneyIsWrittenByTheLanguage(t *testing.T) {
	for _, c := range []struct {
		m    payments.Money
		lang string
		want string
	}{
		{amd(50_000_00), "en", "50,000\u00a0֏"}, {amd(50_000_50), "ru", "50\u00a0000,50\u00a0֏"}, {amd(50_000_00), "hy", "50\u00a0000\u00a0֏"},
		{payments.Money{Minor: 150000, Currency: "USD"}, "en", "$1,500"}, {payments.Money{Minor: 150050, Currency: "BRL"}, "pt", "R$\u00a01.500,50"},
		{payments.Money{Minor: 1500, Currency: "JPY"}, "es", "1.500\u00a0¥"}, {payments.Money{Minor: 5, Currency: "EUR"}, "es", "0,05\u00a0€"},
	} {
		require.Equal(t, c.want, Money(c.m, c.lang), "%v %s", c.m, c.lang)
	}
}

func TestStatusCodes(t *testing.T) {
	require.Equal(t, http.StatusNotFound, Page{State: Unknown}.Code())
	require.Equal(t, http.StatusServiceUnavailable, Page{State: Trouble}.Code())
	require.Equal(t, http.StatusServiceUnavailable, Page{State: Closed}.Code())
	require.Equal(t, http.StatusOK, Page{State: Failed}.Code())
}
