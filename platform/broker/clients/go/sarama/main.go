// sarama.
//
// Long because it is all that the checks ask of one client, laid out as the other clients' programs are.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"osqdemo/clients/checks"
)

// The version of Kafka that it is told of; the newest it knows, unless an older one is asked for.
var version = sarama.MaxVersion

type client struct {
	bootstrap []string
	admin     sarama.ClusterAdmin
}

func settings() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = version
	config.Producer.Return.Successes = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Partitioner = sarama.NewManualPartitioner
	return config
}

func (client) Name() (string, string) {
	number := checks.Version("github.com/IBM/sarama")
	if version != sarama.MaxVersion {
		number += " at " + version.String()
	}
	return "sarama", number
}

// Lacks says what the client refuses by itself, because the version of Kafka that it was told of has it not.
func (client) Lacks(failure error) string {
	var refusal sarama.ConfigurationError
	switch {
	case version == sarama.MaxVersion:
		return ""
	case errors.As(failure, &refusal):
		return "sarama at " + version.String() + ": " + refusal.Error()
	case errors.Is(failure, sarama.ErrUnsupportedVersion):
		// Said before anything is sent, where the request is younger than that version.
		return "sarama at " + version.String() + " does not send a request that is younger"
	}
	return ""
}

func (its client) Create(topic string, partitions int) error {
	return its.admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: int32(partitions), ReplicationFactor: 1}, false)
}

func send(producer sarama.SyncProducer, topic string, values []string, partition int) error {
	var messages []*sarama.ProducerMessage
	for _, value := range values {
		messages = append(messages, &sarama.ProducerMessage{Topic: topic, Partition: int32(partition), Value: sarama.StringEncoder(value)})
	}
	return producer.SendMessages(messages)
}

func (its client) Send(topic string, values []string, partition int, codec string, idempotent bool) error {
	config := settings()
	if err := config.Producer.Compression.UnmarshalText([]byte(codec)); err != nil {
		return err
	}
	if idempotent {
		config.Producer.Idempotent = true
		config.Net.MaxOpenRequests = 1
	}
	producer, err := sarama.NewSyncProducer(its.bootstrap, config)
	if err != nil {
		return err
	}
	return errors.Join(send(producer, topic, values, partition), producer.Close())
}

func (its client) Read(topic string, partition int, start checks.Start, count int, committed bool, meanwhile func() error) ([]string, error) {
	config := settings()
	if committed {
		config.Consumer.IsolationLevel = sarama.ReadCommitted
	}
	connected, err := sarama.NewClient(its.bootstrap, config)
	if err != nil {
		return nil, err
	}
	defer connected.Close()
	from := start.Offset
	switch {
	case start.End:
		from, err = connected.GetOffset(topic, int32(partition), sarama.OffsetNewest)
	case start.Time > 0:
		from, err = connected.GetOffset(topic, int32(partition), start.Time)
	case start.Offset == 0:
		from = sarama.OffsetOldest
	}
	if err != nil {
		return nil, err
	}
	consumer, err := sarama.NewConsumerFromClient(connected)
	if err != nil {
		return nil, err
	}
	reader, err := consumer.ConsumePartition(topic, int32(partition), from)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	if meanwhile != nil {
		if err := meanwhile(); err != nil {
			return nil, err
		}
	}
	var found []string
	for late := time.After(checks.Deadline); len(found) < count; {
		select {
		case message := <-reader.Messages():
			found = append(found, string(message.Value))
		case <-late:
			return nil, fmt.Errorf("%d of %d values in time", len(found), count)
		}
	}
	return found, nil
}

func (its client) Committed(group, topic string, partition int) (int64, error) {
	found, err := its.admin.ListConsumerGroupOffsets(group, map[string][]int32{topic: {int32(partition)}})
	if err != nil {
		return 0, err
	}
	return found.GetBlock(topic, int32(partition)).Offset, nil
}

type transaction struct{ producer sarama.SyncProducer }

func (its client) Transaction(id string) (checks.Transaction, error) {
	config := settings()
	config.Producer.Idempotent = true
	config.Net.MaxOpenRequests = 1
	config.Producer.Transaction.ID = id
	producer, err := sarama.NewSyncProducer(its.bootstrap, config)
	return transaction{producer}, err
}

func (its transaction) Send(topic string, values []string) error {
	if its.producer.TxnStatus()&sarama.ProducerTxnFlagInTransaction == 0 {
		if err := its.producer.BeginTxn(); err != nil {
			return err
		}
	}
	return send(its.producer, topic, values, 0)
}

func (its transaction) Offsets(group, topic string, partition int, offset int64) error {
	place := &sarama.PartitionOffsetMetadata{Partition: int32(partition), Offset: offset}
	return its.producer.AddOffsetsToTxn(map[string][]*sarama.PartitionOffsetMetadata{topic: {place}}, group)
}

func (its transaction) End(commit bool) error {
	if commit {
		return its.producer.CommitTxn()
	}
	return its.producer.AbortTxn()
}

type member struct {
	checks.Journal
	group   sarama.ConsumerGroup
	stop    context.CancelFunc
	ended   chan struct{}
	lock    sync.Mutex
	session sarama.ConsumerGroupSession
	held    map[int]bool
}

func (its client) Member(group, topic, assignor, instance, protocol string) (checks.Member, error) {
	if protocol != "classic" {
		return nil, checks.Absent("sarama does not have the newer group protocol")
	}
	strategies := map[string]sarama.BalanceStrategy{"range": sarama.NewBalanceStrategyRange(),
		"roundrobin": sarama.NewBalanceStrategyRoundRobin(), "sticky": sarama.NewBalanceStrategySticky(),
		"cooperative-sticky": sarama.NewBalanceStrategyCooperativeSticky()}
	strategy, found := strategies[assignor]
	if !found {
		return nil, checks.Absent("sarama has no assignor " + assignor)
	}
	config := settings()
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{strategy}
	config.Consumer.Group.Session.Timeout = 10 * time.Second
	config.Consumer.Group.Heartbeat.Interval = 500 * time.Millisecond
	config.Consumer.Group.InstanceId = instance
	joined, err := sarama.NewConsumerGroup(its.bootstrap, group, config)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	made := &member{group: joined, stop: stop, ended: make(chan struct{})}
	go func() {
		defer close(made.ended)
		for ctx.Err() == nil {
			if err := joined.Consume(ctx, []string{topic}, made); errors.Is(err, sarama.ErrClosedConsumerGroup) {
				return
			}
		}
	}()
	return made, nil
}

func (its *member) Setup(session sarama.ConsumerGroupSession) error {
	its.lock.Lock()
	defer its.lock.Unlock()
	its.session = session
	return nil
}

func (its *member) Cleanup(sarama.ConsumerGroupSession) error { return nil }

// A claim begins or ends; in cooperative groups the others go on meanwhile.
func (its *member) claims(partition int32, begins bool) {
	its.lock.Lock()
	defer its.lock.Unlock()
	if its.held == nil {
		its.held = map[int]bool{}
	}
	its.held[int(partition)] = begins
	var partitions []int
	for partition, held := range its.held {
		if held {
			partitions = append(partitions, partition)
		}
	}
	its.Assign(partitions)
}

func (its *member) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	its.claims(claim.Partition(), true)
	defer its.claims(claim.Partition(), false)
	for {
		select {
		case message, open := <-claim.Messages():
			if !open {
				return nil
			}
			session.MarkMessage(message, "")
			its.Add(string(message.Value))
		case <-session.Context().Done():
			return nil
		}
	}
}

func (its *member) Commit() error {
	its.lock.Lock()
	defer its.lock.Unlock()
	its.session.Commit()
	return nil
}

func (its *member) Close() error {
	its.stop()
	err := its.group.Close()
	<-its.ended
	return err
}

func (its client) Admin(what string) error {
	topic := checks.Unique("topic")
	switch what {
	case "topics":
		partitions := func() (int, error) {
			described, err := its.admin.DescribeTopics([]string{topic})
			if err != nil {
				return 0, err
			}
			return len(described[0].Partitions), nil
		}
		if err := its.Create(topic, 2); err != nil {
			return err
		}
		before, err := partitions()
		err = checks.First(err, checks.Expect(before, 2, "partitions"), its.admin.CreatePartitions(topic, 5, nil, false))
		if err != nil {
			return err
		}
		after, err := partitions()
		return checks.First(err, checks.Expect(after, 5, "partitions"), its.admin.DeleteTopic(topic))
	case "settings":
		value := "1234567"
		entry := sarama.IncrementalAlterConfigsEntry{Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &value}
		err := checks.First(its.Create(topic, 1), its.admin.IncrementalAlterConfig(sarama.TopicResource, topic,
			map[string]sarama.IncrementalAlterConfigsEntry{"retention.ms": entry}, false))
		if err != nil {
			return err
		}
		found, err := its.admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: topic})
		if err != nil {
			return err
		}
		for _, setting := range found {
			if setting.Name == "retention.ms" {
				return checks.Expect(setting.Value, value, "retention.ms")
			}
		}
		return errors.New("retention.ms is not described")
	case "records":
		err := checks.First(its.Create(topic, 1), its.Send(topic, []string{"1", "2", "3"}, 0, "none", false),
			its.admin.DeleteRecords(topic, map[int32]int64{0: 2}))
		if err != nil {
			return err
		}
		found, err := its.Read(topic, 0, checks.Start{}, 1, false, nil)
		return checks.First(err, checks.Expect(found, []string{"3"}, "values"))
	case "groups":
		group := checks.Unique("group")
		if err := checks.First(its.Create(topic, 1), its.Send(topic, []string{"1"}, 0, "none", false)); err != nil {
			return err
		}
		joined, err := its.Member(group, topic, "range", "", "classic")
		if err != nil {
			return err
		}
		err = checks.Until(func() string { return "a record" }, func() (bool, error) { return len(joined.Values()) > 0, nil })
		if err := checks.First(err, joined.Commit()); err != nil {
			return err
		}
		listed, err := its.admin.ListConsumerGroups()
		if _, found := listed[group]; err != nil || !found {
			return errors.Join(err, checks.Expect(found, true, "listed"))
		}
		described, err := its.admin.DescribeConsumerGroups([]string{group})
		if err := checks.First(err, checks.Expect(len(described[0].Members), 1, "members"), joined.Close()); err != nil {
			return err
		}
		offset, err := its.Committed(group, topic, 0)
		return checks.First(err, checks.Expect(offset, 1, "offset"), its.admin.DeleteConsumerGroup(group))
	case "cluster":
		brokers, _, err := its.admin.DescribeCluster()
		return checks.First(err, checks.Expect(len(brokers), 1, "brokers"))
	case "ACLs":
		of := sarama.Resource{ResourceType: sarama.AclResourceTopic, ResourceName: topic, ResourcePatternType: sarama.AclPatternLiteral}
		rule := sarama.Acl{Principal: "User:alice", Host: "*", Operation: sarama.AclOperationRead, PermissionType: sarama.AclPermissionAllow}
		err := its.admin.CreateACL(of, rule)
		if errors.Is(err, io.EOF) && !version.IsAtLeast(sarama.V2_0_0_0) {
			return checks.Absent("sarama at 1.0 makes rules by CreateAcls 0, at which Apache Kafka 4 closes the connection as well")
		}
		if err != nil {
			return err
		}
		filter := sarama.AclFilter{ResourceType: of.ResourceType, ResourceName: &topic,
			ResourcePatternTypeFilter: sarama.AclPatternLiteral, Operation: rule.Operation, PermissionType: rule.PermissionType}
		found, err := its.admin.ListAcls(filter)
		if err := checks.First(err, checks.Expect(len(found), 1, "rules")); err != nil {
			return err
		}
		deleted, err := its.admin.DeleteACL(filter, false)
		return checks.First(err, checks.Expect(len(deleted), 1, "rules deleted"))
	case "users":
		if !version.IsAtLeast(sarama.V2_7_0_0) {
			return checks.Absent("sarama makes users from 2.7 on")
		}
		user := checks.Unique("user")
		made, err := its.admin.UpsertUserScramCredentials([]sarama.AlterUserScramCredentialsUpsert{{Name: user,
			Mechanism: sarama.SCRAM_MECHANISM_SHA_512, Iterations: 8192, Salt: []byte("salt"), Password: []byte("secret")}})
		if err := checks.First(err, checks.Expect(made[0].ErrorCode, sarama.ErrNoError, "made")); err != nil {
			return err
		}
		found, err := its.admin.DescribeUserScramCredentials([]string{user})
		if err := checks.First(err, checks.Expect(len(found[0].CredentialInfos), 1, "credentials")); err != nil {
			return err
		}
		_, err = its.admin.DeleteUserScramCredentials([]sarama.AlterUserScramCredentialsDelete{{Name: user,
			Mechanism: sarama.SCRAM_MECHANISM_SHA_512}})
		return err
	}
	return fmt.Errorf("there is no check of %s", what)
}

func main() {
	if older := os.Getenv("SARAMA_VERSION"); older != "" {
		parsed, err := sarama.ParseKafkaVersion(older)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		version = parsed
	}
	checks.Main(func(bootstrap string) (checks.Client, error) {
		admin, err := sarama.NewClusterAdmin([]string{bootstrap}, settings())
		return client{[]string{bootstrap}, admin}, err
	})
}
