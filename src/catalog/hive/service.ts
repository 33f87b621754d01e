/**
 * TypeScript types of the structures in metastore.thrift. Any field of an answer may be absent; undefined fields of a
 * request are not sent.
 */
export interface HiveColumn {
  name: string;
  type: string;
  comment?: string;
}

export interface HiveStorage {
  cols: HiveColumn[];
  location?: string;
  inputFormat: string;
  outputFormat: string;
  compressed: boolean;
  numBuckets: number;
  serdeInfo: { name?: string; serializationLib: string; parameters: Record<string, string> };
  bucketCols: string[];
  parameters: Record<string, string>;
}

export interface HiveTable {
  dbName: string;
  tableName: string;
  owner?: string;
  /** Seconds since the epoch. */
  createTime?: number;
  lastAccessTime?: number;
  retention?: number;
  sd?: HiveStorage;
  partitionKeys?: HiveColumn[];
  parameters?: Record<string, string>;
  tableType?: string;
  catName?: string;
  ownerType?: number;
}

export interface HiveDatabase {
  name: string;
  description?: string;
  locationUri?: string;
  parameters?: Record<string, string>;
  ownerName?: string;
  ownerType?: number;
  catalogName?: string;
  createTime?: number;
  managedLocationUri?: string;
  type?: number;
}

export interface MetastoreMethods {
  setMetaConf: { args: { key: string; value: string }; answer: void };
  get_all_databases: { args: Record<string, never>; answer: string[] };
  get_database: { args: { name: string }; answer: HiveDatabase };
  create_database: { args: { database: HiveDatabase }; answer: void };
  alter_database: { args: { dbname: string; db: HiveDatabase }; answer: void };
  drop_database: { args: { name: string; deleteData: boolean; cascade: boolean }; answer: void };
  get_all_tables: { args: { db_name: string }; answer: string[] };
  get_table_objects_by_name_req: {
    args: { req: { dbName: string; tblNames: string[] } };
    answer: { tables: HiveTable[] };
  };
  get_table_req: { args: { req: { dbName: string; tblName: string } }; answer: { table: HiveTable } };
  create_table: { args: { tbl: HiveTable }; answer: void };
  alter_table_with_environment_context: {
    args: {
      dbname: string;
      tbl_name: string;
      new_tbl: HiveTable;
      environment_context: { properties: Record<string, string> };
    };
    answer: void;
  };
  drop_table: { args: { dbname: string; name: string; deleteData: boolean }; answer: void };
}

export type MethodName = keyof MetastoreMethods;
