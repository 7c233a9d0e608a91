package main

import (
	"os"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/redis/go-redis/v9"
)

// asProgram makes this test binary be the program itself, so that tests can start and kill real processes of it.
const asProgram = "DEALPAY_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	redis.SetLogger(silence{})
	os.Exit(m.Run())
}
