package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/redis/go-redis/v9"
)

// With these in its environment this test binary is another program, so that tests can start and kill real processes:
// the program itself, or a worker that dies at a named point of its work.
const (
	asProgram = "DEALPAY_TEST_AS_PROGRAM"
	diesAt    = "DEALPAY_TEST_DIES_AT"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	switch point := os.Getenv(diesAt); {
	case os.Getenv(asProgram) != "":
		main()
	case point != "":
		if err := workUntil(point); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	default:
		redis.SetLogger(silence{})
		_ = flag.Set("test.parallel", "8") // these tests mostly wait; -parallel, read later, still counts
		os.Exit(m.Run())
	}
}

// workUntil is a worker that is killed when it comes to the point.
func workUntil(point string) error {
	c, err := readConfig()
	if err != nil {
		return err
	}
	h, err := build(context.Background(), c)
	if err != nil {
		return err
	}
	h.worker.Fault = func(at string) {
		if at == point {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	if err := h.work(context.Background()); err != nil {
		return err
	}
	return errors.New("the worker ended by itself")
}
